package registry

import (
	"regexp"
	"strings"
)

// ContainsSecret reports whether one of NewSecret's stands anywhere in a text, whatever is around it.
func ContainsSecret(text string) bool {
	for {
		i := strings.Index(text, secretPrefix)
		if i < 0 || len(text)-i < secretLength {
			return false
		}
		if CheckSecret(text[i:i+secretLength]) == nil {
			return true
		}
		text = text[i+len(secretPrefix):]
	}
}

// secretLike is what may be a secret, also one that was mistyped or cut off at its end.
var secretLike = regexp.MustCompile(secretPrefix + `[0-9A-Za-z]{40,}`)

// LooksLikeSecret reports whether a text holds what may be a secret. It says so of some texts that
// hold none, and is for places where that does no harm.
func LooksLikeSecret(text string) bool { return secretLike.MatchString(text) }

// HideSecrets is a text without what may be a secret, for messages that repeat what they were given.
func HideSecrets(text string) string { return secretLike.ReplaceAllLiteralString(text, "(not shown)") }

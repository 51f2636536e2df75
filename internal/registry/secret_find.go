package registry

import "strings"

// containsSecret reports whether a text contains a secret that NewSecret may have returned.
func containsSecret(text string) bool {
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

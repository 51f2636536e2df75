package registry

import "strings"

// containsSecret reports whether one of NewSecret's stands anywhere in a text, whatever is around it.
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

package door

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// ClaimText returns the value of a claim as text: a string as it is, a list of strings separated by spaces, and
// anything else as JSON. It returns "" for nil, and for a list of strings that would read as another list.
func ClaimText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		words, ok := allStrings(v)
		switch {
		case ok && !isSeparable(v):
			return ""
		case ok:
			return strings.Join(words, " ")
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

func allStrings(values []any) ([]string, bool) {
	words := make([]string, len(values))
	for n, value := range values {
		word, ok := value.(string)
		if !ok {
			return nil, false
		}
		words[n] = word
	}
	return words, true
}

// isSeparable reports whether a list is the same to a reader who splits its text at white space of any kind. A list
// with other values than strings is written as JSON and needs no separator.
func isSeparable(list []any) bool {
	words, ok := allStrings(list)
	return !ok || !slices.ContainsFunc(words, func(word string) bool {
		return word == "" || strings.ContainsFunc(word, unicode.IsSpace)
	})
}

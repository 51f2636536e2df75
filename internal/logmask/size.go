package logmask

import (
	"encoding/json"
	"unicode/utf8"
)

// Size returns an upper bound of the bytes of a value in JSON, close to its real size.
func Size(value any) int {
	size := 2
	switch value := value.(type) {
	case string:
		return size + textSize(value)
	case json.Number:
		return len(value)
	case bool, nil:
		return len("false")
	case map[string]any:
		for name, member := range value {
			size += textSize(name) + 4 + Size(member)
		}
	case []any:
		for _, element := range value {
			size += 1 + Size(element)
		}
	default:
		text, _ := json.Marshal(value)
		size += len(text)
	}
	return size
}

// TextSize is Size for a text.
func TextSize(text string) int { return len(`""`) + textSize(text) }

// textSize returns an upper bound of the bytes of a text in JSON, without its quotes.
func textSize(text string) int {
	for i := range len(text) {
		if b := text[i]; b < ' ' || b == '"' || b == '\\' || b >= utf8.RuneSelf {
			return len(text) + escapes(text[i:])
		}
	}
	return len(text)
}

// escapes returns by how many bytes escapes make a text longer.
func escapes(text string) (more int) {
	for i, r := range text {
		switch {
		case r < ' ':
			more += len(`\u0000`) - 1
		case r == '"' || r == '\\':
			more++
		case r == utf8.RuneError || r == '\u2028' || r == '\u2029':
			_, width := utf8.DecodeRuneInString(text[i:])
			more += len(`\ufffd`) - width
		}
	}
	return more
}

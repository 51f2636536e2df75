package logmask

import (
	"encoding/json"
	"slices"
)

// appendJSON appends what json.Marshal returns, without reflection for decoded JSON.
func appendJSON(text []byte, value any) (_ []byte, err error) {
	switch value := value.(type) {
	case string:
		return appendText(text, value), nil
	case map[string]any:
		if value != nil {
			return appendObject(text, value)
		}
	case []any:
		if value != nil {
			return appendList(text, value)
		}
	}
	other, err := json.Marshal(value)
	return append(text, other...), err
}

func appendObject(text []byte, object map[string]any) (_ []byte, err error) {
	text = append(text, '{')
	var room names
	for i, name := range sortedNames(room[:0], object) {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(appendText(text, name), ':')
		if text, err = appendJSON(text, object[name]); err != nil {
			return nil, err
		}
	}
	return append(text, '}'), nil
}

func appendList(text []byte, list []any) (_ []byte, err error) {
	text = append(text, '[')
	for i, element := range list {
		if i > 0 {
			text = append(text, ',')
		}
		if text, err = appendJSON(text, element); err != nil {
			return nil, err
		}
	}
	return append(text, ']'), nil
}

// names is room for the names of a usual object, on the stack.
type names [8]string

// sortedNames appends the names of an object's members to names, which is empty, and sorts them.
func sortedNames(names []string, object map[string]any) []string {
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// appendText appends a text. Most texts need no escapes.
func appendText(text []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // never fails for a string
			return append(text, quoted...)
		}
	}
	text = append(text, '"')
	text = append(text, s...)
	return append(text, '"')
}

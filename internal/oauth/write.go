package oauth

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// writeJSON answers with v and forbids caches to store it (RFC 6749 §5.1).
func writeJSON(w http.ResponseWriter, status int, v any) {
	writeBody(w, status, typeJSON, encodeJSON(v))
}

func writeBody(w http.ResponseWriter, status int, contentType string, body []byte) {
	// Header.Set allocates for each field. The values are those of one response only, because other handlers may change them.
	values := [...]string{contentType, strconv.Itoa(len(body)), "no-store", "no-cache", "nosniff"}
	h := w.Header()
	for i, name := range []string{"Content-Type", "Content-Length", "Cache-Control", "Pragma", "X-Content-Type-Options"} {
		h[name] = values[i : i+1 : i+1]
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone needs no answer
}

// encodeJSON encodes structs of plain fields and decoded JSON, for which it cannot fail. It does not escape <, > and &,
// because the result is never part of an HTML page.
func encodeJSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return b.Bytes()
}

// appendText appends a text as encodeJSON encodes it.
func appendText(body []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(body, bytes.TrimSuffix(encodeJSON(text), []byte("\n"))...)
		}
	}
	body = append(body, '"')
	body = append(body, text...)
	return append(body, '"')
}

// maxDescription bounds an error_description in bytes.
const maxDescription = 512

// cleanDescription returns a description that may be sent.
func cleanDescription(s string) string {
	clean := cleanText(s)
	return clean[:min(len(clean), maxDescription)]
}

// cleanText replaces the characters that RFC 6749 §5.2 and RFC 6750 §3 do not allow in an error_description and in a list of
// scopes. It leaves %x20-21 / %x23-5B / %x5D-7E, so that the text cannot forge a header or a log line.
func cleanText(s string) string { return strings.Map(cleanRune, s) }

func cleanRune(r rune) rune {
	switch {
	case r == '"':
		return '\''
	case r == '\\':
		return '/'
	case r == '\r' || r == '\n' || r == '\t':
		return ' '
	case r < 0x20 || r > 0x7e:
		return '?'
	}
	return r
}

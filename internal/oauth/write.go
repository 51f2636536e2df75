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
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
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

package oauth

import (
	"mime"
	"net/http"
	"slices"
	"strings"
)

// Media types of a token request's body.
const (
	typeForm = "application/x-www-form-urlencoded"
	typeJSON = "application/json"
)

// checkEnvelope checks what surrounds the body. Nothing of a query string is repeated in the
// answer, for credentials in a URL are the likeliest reason why there is one.
func checkEnvelope(r *http.Request) *Error {
	if r.Method != http.MethodPost {
		return methodNotAllowed(http.MethodPost)
	}
	if r.URL.RawQuery != "" {
		return InvalidRequest("parameters belong in the body, not in the URL")
	}
	// RFC 9110 would allow 415 here and for the content type. RFC 6749 §5.2 says 400, and its
	// clients look there for the error code.
	for _, coding := range r.Header.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return InvalidRequest("the body must not have a content coding")
		}
	}
	return nil
}

// bodyType is the media type of the body, typeForm or typeJSON.
func bodyType(h http.Header) (string, *Error) {
	wrong := InvalidRequest("the content type must be " + typeForm + " or " + typeJSON + ", in UTF-8")
	values := h.Values("Content-Type")
	if len(values) != 1 {
		return "", wrong
	}
	media, attrs, err := mime.ParseMediaType(values[0])
	if err != nil || !slices.Contains([]string{typeForm, typeJSON}, media) {
		return "", wrong
	}
	if charset, ok := attrs["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return "", wrong
	}
	return media, nil
}

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

// checkRequest checks everything but the body. Its errors repeat nothing of the query, which may contain credentials.
func checkRequest(r *http.Request) *Error {
	if r.Method != http.MethodPost {
		return methodNotAllowed(http.MethodPost)
	}
	if r.URL.RawQuery != "" {
		return InvalidRequest("parameters belong in the body, not in the URL")
	}
	// RFC 9110 allows 415 here and for the content type. RFC 6749 §5.2 says 400, and its clients expect the error code
	// there.
	for _, coding := range r.Header.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return InvalidRequest("the body must not have a content coding")
		}
	}
	return nil
}

// bodyType returns the media type of the body, typeForm or typeJSON.
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

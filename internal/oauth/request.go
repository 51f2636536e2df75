package oauth

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Media types of a token request's body.
const (
	typeForm = "application/x-www-form-urlencoded"
	typeJSON = "application/json"
)

// checkRequest checks everything but the body. Its errors repeat nothing of the query, which may contain credentials. A coding
// that is the name of a charset is not a coding, and means nothing.
func checkRequest(r *http.Request) *Error {
	if r.Method != http.MethodPost {
		return methodNotAllowed(http.MethodPost)
	}
	if namesParameter(r.URL.RawQuery) {
		return InvalidRequest("parameters belong in the body, not in the URL")
	}
	// RFC 9110 allows 415 here and for the content type. RFC 6749 §5.2 says 400, and its clients expect the error code
	// there.
	for _, coding := range r.Header.Values("Content-Encoding") {
		if !slices.Contains([]string{"", "identity", "utf-8"}, strings.ToLower(coding)) {
			return InvalidRequest("the body must not have a content coding")
		}
	}
	return nil
}

// bodyOnlyParameters belong in the body beside those that are read: the credentials of other grants.
var bodyOnlyParameters = []string{
	"access_token", "code", "code_verifier", "device_code", "id_token", "password", "refresh_token", "token_type_hint", "username",
}

// namesParameter reports whether a query has a parameter that belongs in the body. Others, such as the correlation ids that
// clients append, are ignored (RFC 6749 §3.2). Nothing is read from a query, so a name that no parser understands is ignored, too.
func namesParameter(query string) bool {
	for part := range strings.FieldsFuncSeq(query, func(c rune) bool { return c == '&' || c == ';' }) {
		name, _, _ := strings.Cut(part, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if name = strings.ToLower(name); isRead(name) || slices.Contains(bodyOnlyParameters, name) {
			return true
		}
	}
	return false
}

// bodyType is the type of a body.
type bodyType struct {
	media  string // typeForm or typeJSON
	isUTF8 bool   // else only ASCII is accepted
}

// isText checks the value of a parameter.
func (t bodyType) isText(s string) bool { return t.isUTF8 && isUTF8(s) || isASCII(s) }

// bodyTypeOf returns the type of the body. Some programs send the header twice, which is harmless if both say the same.
func bodyTypeOf(h http.Header) (bodyType, *Error) {
	var found bodyType
	for value := range strings.SplitSeq(strings.Join(h.Values("Content-Type"), ","), ",") {
		t, ok := parseBodyType(value)
		if !ok || found.media != "" && found.media != t.media {
			return bodyType{}, InvalidRequest("the content type must be " + typeForm + " or " + typeJSON + ", in UTF-8")
		}
		if found.media == "" || !t.isUTF8 {
			found = t
		}
	}
	return found, nil
}

// parseBodyType reads a content type. Some clients name a charset that is not UTF-8, such as that of their platform, and send
// ASCII. In such a charset only ASCII is accepted, which is the same in all of them. UTF-16 is refused.
func parseBodyType(value string) (_ bodyType, ok bool) {
	if value == typeForm || value == typeJSON {
		return bodyType{value, true}, true // what most clients send
	}
	media, attrs, err := mime.ParseMediaType(value)
	if err != nil || !slices.Contains([]string{typeForm, typeJSON}, media) {
		return bodyType{}, false
	}
	charset := strings.ToLower(strings.Trim(attrs["charset"], `' "`))
	isUTF8 := slices.Contains([]string{"", "utf-8", "utf8"}, charset)
	return bodyType{media, isUTF8}, isUTF8 || extendsASCII(charset)
}

// extendsASCII reports whether a charset is ASCII or encodes ASCII as ASCII does.
func extendsASCII(charset string) bool {
	charset = strings.ReplaceAll(charset, "_", "-")
	for _, family := range []string{"iso-8859-", "iso8859-", "windows-125", "cp125"} {
		if strings.HasPrefix(charset, family) {
			return true
		}
	}
	return slices.Contains([]string{"us-ascii", "ascii", "ansi-x3.4-1968", "latin1"}, charset)
}

package httpguard

import (
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
)

// StripIdentityHeaders deletes the named fields from h in every spelling that an upstream may confuse: it ignores case and
// equates all characters other than letters and digits, as CGI does, for which X_Client.Id and X-Client-Id are one variable.
// It also deletes the names from Connection, where they would make a proxy drop the field that the gateway sets (RFC 9110
// §7.6.1). Apply it to a request's Trailer, too, because some upstreams merge it into the header.
func StripIdentityHeaders(h http.Header, names []string) {
	options := false
	for field := range h {
		if FoldsToAny(field, names) {
			delete(h, field)
		}
		options = options || isConnection(field)
	}
	if options {
		dropOptions(h, names)
	}
}

func isConnection(field string) bool { return strings.EqualFold(field, "Connection") }

// dropOptions deletes names from Connection.
func dropOptions(h http.Header, names []string) {
	for field, values := range h {
		if isConnection(field) {
			if options := withoutOptions(values, names); len(options) > 0 {
				h[field] = []string{strings.Join(options, ", ")}
			} else {
				delete(h, field)
			}
		}
	}
}

// PinHeaders leaves the named fields as they are and deletes what an upstream may confuse with them: other spellings, and their
// names in Connection. So the upstream gets the fields that were judged. The names are canonical.
func PinHeaders(h http.Header, names []string) {
	options := false
	for field := range h {
		if FoldsToAny(field, names) && !slices.Contains(names, field) {
			delete(h, field)
		}
		options = options || isConnection(field)
	}
	if options {
		dropOptions(h, names)
	}
}

// withoutOptions returns the options of a Connection field that do not fold to one of the names.
func withoutOptions(values, names []string) []string {
	var options []string
	for _, value := range values {
		for option := range strings.SplitSeq(value, ",") {
			option = textproto.TrimString(option)
			if option != "" && !FoldsToAny(option, names) {
				options = append(options, option)
			}
		}
	}
	return options
}

// FoldsToAny reports whether an upstream may confuse a field of this name with one of the names.
func FoldsToAny(field string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return foldsTo(field, name) })
}

func foldsTo(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

// fold maps bytes that upstreams may confuse to one of them.
func fold(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return '-'
}

// credentialNames matches parts of the names of headers that carry credentials.
var credentialNames = regexp.MustCompile(`(?i)auth|cookie|token|secret|key|password|credential|dpop`)

// CarriesCredentials reports whether a header carries credentials, by its name.
func CarriesCredentials(name string) bool { return credentialNames.MatchString(name) }

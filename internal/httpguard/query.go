package httpguard

import (
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/percent"
)

// methodParameters override the method: _method for Laravel and Symfony, Express method-override, WordPress, Jersey and
// Mojolicious, x-tunneled-method for Catalyst and Plack, and _httpmethod for Salesforce and, as $httpMethod, for Google APIs.
// ASP.NET reads parameters that are named like the header fields.
var methodParameters = namesForMethod("_method", "x-tunneled-method", "_httpmethod")

// namesForMethod returns the names of the header fields that override the method, and more names.
func namesForMethod(more ...string) foldedNames {
	names := make(foldedNames)
	for _, name := range more {
		names.add(name)
	}
	for _, override := range overrides {
		if override.what == theMethod {
			names.add(override.name)
		}
	}
	return names
}

// queryOverridesMethod reports whether some upstream may find a parameter in the query that overrides the method. Parsers
// differ, so a name counts if any of them may read it as such a parameter.
func queryOverridesMethod(raw string) bool {
	for parameter := range strings.FieldsFuncSeq(raw, isSeparator) {
		name, _, _ := strings.Cut(parameter, "=")
		once := decodeLeniently(name)
		if namesMethod(once) || once != name && namesMethod(decodeLeniently(once)) { // some decode twice
			return true
		}
	}
	return false
}

func isSeparator(c rune) bool { return c == '&' || c == ';' }

// namesMethod reads a name as PHP, qs and URLSearchParams do. They trim spaces, read "_method[]" and "[_method]" as "_method",
// replace a leading "." or "[" with "_", and drop a "?" before the first name.
func namesMethod(name string) bool {
	name = strings.TrimLeft(name, " \t\r\n\v\f?")
	return isMethodName(name) || isMethodName(strings.TrimLeft(name, "["))
}

// isMethodName checks a name up to where a parser may end it.
func isMethodName(name string) bool {
	if name == "" {
		return false
	}
	if end := strings.IndexAny(name[1:], "[]=\x00"); end >= 0 {
		name = name[:1+end]
	}
	return methodParameters.has(strings.TrimRight(name, " \t\r\n\v\f"))
}

// decodeLeniently undoes percent-encoding, including that of IIS (%u005f). It leaves what is not well-formed.
func decodeLeniently(name string) string {
	if !strings.ContainsAny(name, "%+") {
		return name
	}
	var decoded strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '+' {
			c = ' '
		} else if b, ok := percent.Decode(name[i:]); ok {
			c, i = b, i+len("%5f")-1
		} else if rest, ok := strings.CutPrefix(name[i:], "%u00"); ok {
			if b, ok := percent.Byte(rest); ok {
				c, i = b, i+len("%u005f")-1
			}
		}
		decoded.WriteByte(c)
	}
	return decoded.String()
}

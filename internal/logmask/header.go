package logmask

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

// Header returns a copy of a header with credentials masked, and JSON pointers to what it masked. It returns nil if there
// is nothing to mask. The values of the headers in hidden, which have canonical names, are not logged and stay.
func Header(header http.Header, hidden []string) (copied http.Header, pointers []string) {
	for name, values := range header {
		if slices.Contains(hidden, textproto.CanonicalMIMEHeaderKey(name)) {
			continue
		}
		for n, value := range values {
			shown := headerValue(name, value)
			if shown == value && !credential.Contains(name) {
				continue
			}
			if copied == nil {
				copied = header.Clone()
			}
			copied[name][n] = shown
			pointers = append(pointers, "/"+credential.Mask(name)+"/"+strconv.Itoa(n))
		}
	}
	return copied, pointers
}

// usual are the headers of most requests, with whether their names are those of credentials.
var usual = func() map[string]bool {
	names := make(map[string]bool)
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Connection", "Content-Length", "Content-Type", "Date", "If-Modified-Since",
		"If-None-Match", "Origin", "Pragma", "Range", "Referer", "Traceparent", "Tracestate", "User-Agent", "Via", "X-Forwarded-For",
		"X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id", "Server", "Vary", "Alt-Svc",
	} {
		names[name] = credential.IsName(name)
	}
	return names
}()

func isName(header string) bool {
	if is, known := usual[header]; known {
		return is
	}
	return credential.IsName(header)
}

func headerValue(name, value string) string {
	if value != "" && isName(name) {
		return credential.Secret
	}
	return credential.MaskURI(value)
}

package dpop

import (
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/uri"
)

// isOneOf reports whether htu is one of the URLs by which a request can reach a server, by the normalization of RFC 3986
// §6.2.2 and §6.2.3, and without query and fragment (RFC 9449 §4.3).
func isOneOf(htu string, urls []string) bool {
	htu = withoutQuery(htu)
	return slices.ContainsFunc(urls, func(url string) bool { return uri.Equal(htu, withoutQuery(url)) })
}

func withoutQuery(url string) string {
	if at := strings.IndexAny(url, "?#"); at >= 0 {
		return url[:at]
	}
	return url
}

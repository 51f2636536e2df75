package credential

import "strings"

// WithoutUserInfo returns a URL without its user information, which may hold a password, for errors to show.
func WithoutUserInfo(url string) string {
	scheme, rest, found := strings.Cut(url, "://")
	if at := strings.LastIndexByte(rest, '@'); found && at >= 0 {
		return scheme + "://" + rest[at+1:]
	}
	return url
}

package discovery

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A key set is fetched again at the age that its server sets in Cache-Control, within bounds. Default: DefaultAge.
const (
	MinAge     = time.Minute
	MaxAge     = 24 * time.Hour
	DefaultAge = 5 * time.Minute
)

func cacheAge(h http.Header) time.Duration {
	age := DefaultAge
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return MinAge
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				age = time.Duration(seconds) * time.Second
			}
		}
	}
	if seconds, err := strconv.ParseUint(h.Get("Age"), 10, 31); err == nil { // in caches on the way (RFC 9111 §5.1)
		age -= time.Duration(seconds) * time.Second
	}
	return min(max(age, MinAge), MaxAge)
}

package discovery

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// host is an issuer whose keys are words: the body of its JWKS is the kids, separated by spaces.
// Its fields are changed only while every goroutine of the bubble is blocked.
type host struct {
	*network
	kids     string
	cache    string        // Cache-Control
	delay    time.Duration // before the keys are sent
	down     bool
	etags    bool
	notMods  int           // answers of 304
	failures int           // errors that the cache reported
	staleFor time.Duration // default: an hour
}

func parseWords(body []byte) ([]string, error) {
	if string(body) == "broken" {
		return nil, errors.New("broken")
	}
	return strings.Fields(string(body)), nil
}

func (h *host) serveKeys(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(h.delay):
	case <-r.Context().Done():
		return
	}
	if h.down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.Header().Set("Cache-Control", h.cache)
	if h.etags {
		etag := `"` + h.kids + `"`
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			h.notMods++
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	fmt.Fprint(w, h.kids)
}

func (h *host) fetches() int { return h.requests[jwksURL] }

// roundTripper answers each request with a body.
type roundTripper func(*http.Request) string

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	fmt.Fprint(w, f(r))
	return w.Result(), nil
}

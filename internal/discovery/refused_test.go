package discovery

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestRefusedKeysAreFetchedAgain refuses a key set for a reason that passes. Its ETag is not sent before it is taken.
func TestRefusedKeysAreFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{network: newNetwork(), kids: "a", cache: "max-age=600", etags: true}
		h.serve(openIDURL, goodServer)
		h.answers[jwksURL] = h.serveKeys
		refused := ""
		k := NewKeys(t.Context(), Config[[]string]{
			Source: Source{Issuer: issuer},
			Client: h.client(),
			Parse: func(body []byte) ([]string, error) {
				if string(body) == refused {
					return nil, errors.New("not now")
				}
				return parseWords(body)
			},
			Has: func(words []string, kid string) bool { return slices.Contains(words, kid) },
		})
		defer k.Close()
		want(t, h, k, "a", "a", 1)
		h.kids, refused = "b", "b"
		time.Sleep(11 * time.Minute)
		want(t, h, k, "a", "a", 2)
		time.Sleep(time.Minute)
		want(t, h, k, "a", "a", 3)
		if h.notMods != 0 {
			t.Errorf("%d answers of 304", h.notMods)
		}
		refused = ""
		time.Sleep(time.Minute)
		want(t, h, k, "b", "b", 4)
	})
}

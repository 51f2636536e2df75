package discovery

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestKeysStatusAndRefresh(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		status := func(age time.Duration, failed, usable bool, fetches int) {
			t.Helper()
			s := k.Status()
			if age < 0 && !s.Fetched.IsZero() || age >= 0 && time.Since(s.Fetched) != age {
				t.Errorf("fetched %s ago, want %s", time.Since(s.Fetched), age)
			}
			if (s.Err != nil) != failed || k.Usable(time.Hour) != usable || h.fetches() != fetches {
				t.Errorf("error %v, usable %t, %d fetches", s.Err, k.Usable(time.Hour), h.fetches())
			}
		}
		refresh := func() {
			k.Refresh()
			synctest.Wait()
		}
		status(-1, false, false, 0)
		h.down = true
		refresh()
		refresh() // waits the failure out
		status(-1, true, false, 1)
		h.down = false
		time.Sleep(firstBackoff)
		refresh()
		status(0, false, true, 2)
		time.Sleep(10 * time.Minute)
		refresh() // is still fresh
		status(10*time.Minute, false, true, 2)
		h.down = true
		time.Sleep(time.Second)
		refresh()
		status(10*time.Minute+time.Second, true, true, 3)
		time.Sleep(time.Hour)
		status(70*time.Minute+time.Second, true, false, 3)
		h.down = false
		refresh()
		status(0, false, true, 4)
		k.Close()
		time.Sleep(time.Hour)
		refresh()
		if k.Usable(time.Hour) || h.fetches() != 4 {
			t.Error("a closed cache lives on")
		}
	})
}

// TestKeysOfDifferentPatience: one cache, and each caller's own bound on how stale its keys may be.
func TestKeysOfDifferentPatience(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		want(t, h, k, "a", "a", 1)
		h.down = true
		time.Sleep(20 * time.Minute)
		if keys, err := k.Get(t.Context(), "a", time.Minute); err == nil {
			t.Errorf("stale for ten minutes: %v", keys)
		}
		if keys, err := k.Get(t.Context(), "a", 2*time.Hour); err != nil || len(keys) != 1 {
			t.Errorf("got %v, %v", keys, err)
		}
	})
}

// TestBadKeysLeaveTheLastGoodOnes: whatever the keys' place answers, the error says which place and
// why, and good keys stay in use.
func TestBadKeysLeaveTheLastGoodOnes(t *testing.T) {
	body := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		}
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	const plain, elsewhere = "http://auth.example.com/a/oauth2/jwks", "https://other.example.com/jwks"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		why    string
	}{
		"broken":          {body(200, "broken"), "parsing key set: broken"},
		"5 MB":            {body(200, strings.Repeat("a ", 5<<19)), "more than 262144 bytes"},
		"to http":         {redirect(plain), "redirected to another origin"},
		"to another host": {redirect(elsewhere), "redirected to another origin"},
		"in circles":      {redirect(jwksURL), "redirected more than 3 times"},
		"not found":       {body(404, "b"), "status 404"},
		"no content":      {body(204, ""), "status 204"},
		"304 unasked":     {body(304, ""), "status 304"},
		"hangs":           {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n.serve(serverURL, goodServer)
				n.serve(jwksURL, "a")
				n.serve(plain, "b")
				n.serve(elsewhere, "b")
				var reported []error
				k := NewKeys(t.Context(), Config[[]string]{
					Source: Source{Issuer: issuer}, Client: n.client(), Parse: parseWords,
					Has: func(words []string, kid string) bool { return slices.Contains(words, kid) },
					OnFetch: func(err error) {
						if err != nil {
							time.Sleep(time.Second) // a slow log
							reported = append(reported, err)
						}
					},
				})
				defer k.Close()
				if _, err := k.Get(t.Context(), "a", DefaultStaleFor); err != nil {
					t.Fatal(err)
				}
				n.answers[jwksURL] = c.answer
				if keys, err := k.Get(t.Context(), "b", DefaultStaleFor); err == nil {
					t.Errorf("it says of a key that it cannot know that there are only %v", keys)
				}
				if keys, err := k.Get(t.Context(), "a", DefaultStaleFor); err != nil || strings.Join(keys, " ") != "a" {
					t.Errorf("got %v, %v", keys, err)
				}
				if len(reported) != 1 || !strings.Contains(reported[0].Error(), c.why) || !strings.Contains(reported[0].Error(), jwksURL) {
					t.Errorf("reported %v", reported)
				}
				if n.requests[plain]+n.requests[elsewhere] > 0 {
					t.Error("went elsewhere")
				}
			})
		})
	}
}

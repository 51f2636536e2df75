package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// network is what every host answers, by URL; what is not there is 404. It counts requests.
type network struct {
	answers  map[string]http.HandlerFunc
	requests map[string]int
}

func newNetwork() *network {
	return &network{answers: make(map[string]http.HandlerFunc), requests: make(map[string]int)}
}

func (n *network) serve(url, body string) {
	n.answers[url] = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	n.requests[r.URL.String()]++
	answer := n.answers[r.URL.String()]
	if answer == nil {
		answer = http.NotFound
	}
	w := httptest.NewRecorder()
	answer(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func (n *network) client() *http.Client { return &http.Client{Transport: n} }

const (
	issuer     = "https://auth.example.com/a"
	serverURL  = "https://auth.example.com/.well-known/oauth-authorization-server/a"
	openIDURL  = "https://auth.example.com/a/.well-known/openid-configuration"
	jwksURL    = "https://auth.example.com/a/oauth2/jwks"
	goodServer = `{"issuer":"https://auth.example.com/a","token_endpoint":"https://auth.example.com/a/oauth2/token",
		"jwks_uri":"https://auth.example.com/a/oauth2/jwks","scopes_supported":["book:read"],"x":[{}]}`
)

func TestFetch(t *testing.T) {
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	good := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, goodServer) }
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
	}
	const moved, plain, elsewhere = "https://auth.example.com/moved", "http://auth.example.com/moved", "https://other.example.com/moved"
	cases := map[string]struct {
		answers map[string]http.HandlerFunc
		problem string // part of the error; "" when there is none
	}{
		"server":             {map[string]http.HandlerFunc{serverURL: good}, ""},
		"openid alone":       {map[string]http.HandlerFunc{openIDURL: good}, ""},
		"first is a page":    {map[string]http.HandlerFunc{serverURL: text("<html>"), openIDURL: good}, ""},
		"redirect":           {map[string]http.HandlerFunc{serverURL: redirect("/moved"), moved: good}, ""},
		"nothing":            {nil, "status 404"},
		"to plain text":      {map[string]http.HandlerFunc{serverURL: redirect(plain), plain: good}, "another origin"},
		"to another host":    {map[string]http.HandlerFunc{serverURL: redirect(elsewhere), elsewhere: good}, "another origin"},
		"loop":               {map[string]http.HandlerFunc{serverURL: redirect(serverURL)}, "redirected more than"},
		"other issuer":       {map[string]http.HandlerFunc{serverURL: text(strings.Replace(goodServer, `com/a"`, `com/b"`, 1))}, `another issuer, "https://auth.example.com/b"`},
		"issuer with slash":  {map[string]http.HandlerFunc{serverURL: text(strings.Replace(goodServer, `com/a"`, `com/a/"`, 1))}, "another issuer"},
		"issuer in capitals": {map[string]http.HandlerFunc{serverURL: text(strings.Replace(goodServer, `"issuer"`, `"ISSUER"`, 1))}, "names no issuer"},
		"two issuers":        {map[string]http.HandlerFunc{serverURL: text(strings.Replace(goodServer, `{`, `{"issuer":"https://x.example",`, 1))}, "not a JSON object"},
		"plain jwks_uri":     {map[string]http.HandlerFunc{serverURL: text(strings.Replace(goodServer, `"https://auth.example.com/a/oauth2/jwks`, `"http://auth.example.com/jwks`, 1))}, "jwks_uri must be https"},
		"loopback jwks_uri":  {map[string]http.HandlerFunc{serverURL: text(strings.Replace(goodServer, `"https://auth.example.com/a/oauth2/jwks`, `"http://127.0.0.1/jwks`, 1))}, "jwks_uri must be https"},
		"file endpoint":      {map[string]http.HandlerFunc{serverURL: text(strings.Replace(goodServer, `"https://auth.example.com/a/oauth2/token`, `"file:///token`, 1))}, "token_endpoint must be"},
		"large":              {map[string]http.HandlerFunc{serverURL: text(goodServer + strings.Repeat(" ", MaxBody))}, "more than 262144 bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := newNetwork()
			n.answers = c.answers
			m, err := Fetch(t.Context(), n.client(), issuer)
			if c.problem == "" {
				if err != nil || m.Issuer != issuer || m.JWKSURI != jwksURL || m.TokenEndpoint != issuer+"/oauth2/token" {
					t.Errorf("got %+v, %v", m, err)
				}
				return
			}
			if err == nil || m != nil || !strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %+v, %v", m, err)
			}
		})
	}
}

func TestFetchRefusesIssuers(t *testing.T) {
	for _, issuer := range []string{
		"", "auth.example.com", "http://auth.example.com", "https://auth.example.com?a", "https://auth.example.com#a",
		"https://u:p@auth.example.com", "ftp://auth.example.com", "https:///a",
	} {
		n := newNetwork()
		if m, err := Fetch(t.Context(), n.client(), issuer); err == nil || m != nil || len(n.requests) > 0 {
			t.Errorf("%s: %v, %v, %v", issuer, m, err, n.requests)
		}
	}
}

func TestFetchFollowsFewRedirects(t *testing.T) {
	n := newNetwork()
	n.answers[serverURL] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, serverURL, http.StatusFound) }
	if _, err := Fetch(t.Context(), n.client(), issuer); err == nil || n.requests[serverURL] != 1+3 {
		t.Errorf("%d requests, %v", n.requests[serverURL], err)
	}
}

// Some issuers' URLs end in a slash, which the well-known paths drop and iss does not.
func TestFetchWithTrailingSlash(t *testing.T) {
	n := newNetwork()
	n.serve("https://auth.example.com/.well-known/openid-configuration", `{"issuer":"https://auth.example.com/"}`)
	if m, err := Fetch(t.Context(), n.client(), "https://auth.example.com/"); err != nil || m.Issuer != "https://auth.example.com/" {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestFetchOverLoopback(t *testing.T) {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/jwks" {
			fmt.Fprint(w, `{"keys":[]}`)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/oauth2/jwks")
	}))
	defer server.Close()
	m, err := Fetch(t.Context(), nil, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if jwks, err := get(t.Context(), nil, m.JWKSURI, ""); err != nil || string(jwks.Body) != `{"keys":[]}` {
		t.Errorf("got %v, %v", jwks, err)
	}
	if jwks, err := get(t.Context(), nil, server.URL+"\x00", ""); err == nil || jwks != nil {
		t.Errorf("got %v, %v", jwks, err)
	}
}

func TestFetchTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.answers[serverURL] = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		begin := time.Now()
		_, err := Fetch(t.Context(), n.client(), issuer)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != Timeout {
			t.Errorf("got %v after %s", err, time.Since(begin))
		}
	})
}

func TestCacheAge(t *testing.T) {
	cases := map[string]time.Duration{
		"":                             DefaultAge,
		"public":                       DefaultAge,
		"max-age=600":                  10 * time.Minute,
		"Public, Max-Age = 600":        DefaultAge,
		`public,MAX-AGE="600"`:         10 * time.Minute,
		"max-age=0":                    MinAge,
		"max-age=31536000":             MaxAge,
		"max-age=99999999999999999999": DefaultAge,
		"max-age=-1":                   DefaultAge,
		"max-age=600, no-store":        MinAge,
		"no-cache":                     MinAge,
		"s-maxage=600":                 DefaultAge,
	}
	for value, want := range cases {
		if got := cacheAge(http.Header{"Cache-Control": {value}}); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

// TestAgeInCaches: the time in caches on the way counts.
func TestAgeInCaches(t *testing.T) {
	for age, want := range map[string]time.Duration{
		"": time.Hour, "0": time.Hour, "600": 50 * time.Minute, "3600": MinAge, "99999": MinAge, "-600": time.Hour, "soon": time.Hour,
	} {
		if got := cacheAge(http.Header{"Cache-Control": {"max-age=3600"}, "Age": {age}}); got != want {
			t.Errorf("Age %q: %s, want %s", age, got, want)
		}
	}
}

func FuzzCacheAge(f *testing.F) {
	f.Add("public, max-age=600", "no-store", "")
	f.Add(`max-age="1`, ",,=", "1")
	f.Fuzz(func(t *testing.T, first, second, inCaches string) {
		if age := cacheAge(http.Header{"Cache-Control": {first, second}, "Age": {inCaches}}); age < MinAge || age > MaxAge {
			t.Errorf("%s", age)
		}
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(goodServer))
	f.Add([]byte(`{"issuer":"https://auth.example.com/a","jwks_uri":"http://[::1]/x"}`))
	f.Add([]byte(`{"issuer":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		n := newNetwork()
		n.serve(serverURL, string(body))
		m, err := Fetch(t.Context(), n.client(), issuer)
		if (m == nil) == (err == nil) {
			t.Fatalf("got %v and %v", m, err)
		}
		if m == nil {
			return
		}
		for _, endpoint := range []string{m.JWKSURI, m.TokenEndpoint} {
			if m.Issuer != issuer || endpoint != "" && !strings.EqualFold(endpoint[:min(8, len(endpoint))], "https://") {
				t.Fatalf("accepted %+v", m)
			}
		}
	})
}

package fetch

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const limit = 1000

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

func serve(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

func TestGet(t *testing.T) {
	elsewhere := serve(t, text("elsewhere"))
	drip := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}
	short := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("x"))
	}
	once := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/moved", http.StatusFound)
		}
		_, _ = w.Write([]byte(r.Header.Get("Authorization")))
	}
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		body    string
		problem string
	}{
		"a document":          {text("document"), "document", ""},
		"an empty one":        {text(""), "", ""},
		"a redirect":          {once, "Bearer x", ""},
		"as much as can":      {text(strings.Repeat("x", limit)), strings.Repeat("x", limit), ""},
		"too much":            {text(strings.Repeat("x", limit+1)), "", "more than 1000 bytes"},
		"too short":           {short, "", "reading the answer: unexpected EOF"},
		"an error":            {http.NotFound, "", "status 404"},
		"304 unasked":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, "", "status 304"},
		"another origin":      {http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP, "", "redirected to another origin"},
		"many redirects":      {http.RedirectHandler("/", http.StatusFound).ServeHTTP, "", "redirected more than 3 times"},
		"no answer":           {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "", "the server does not answer"},
		"a slow answer":       {drip, "", "the answer takes too long to come"},
		"a closed connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, c.answer)
			doc, err := Get(t.Context(), nil, Request{
				URL: server.URL + "/?secret", MaxSize: limit, Header: http.Header{"Authorization": {"Bearer x"}},
				AnswerTimeout: time.Second, BodyTimeout: time.Second,
			})
			if c.problem == "" && (err != nil || string(doc.Body) != c.body || doc.Unchanged) {
				t.Errorf("got %+v, %v", doc, err)
			}
			if c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("got %+v, %v; want %q", doc, err, c.problem)
			}
		})
	}
}

func TestGetETag(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"2"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader([]byte("document")))
	})
	for etag, unchanged := range map[string]bool{"": false, `"1"`: false, `"2"`: true} {
		header := http.Header{"If-None-Match": {`"2"`}} // belongs to Get
		doc, err := Get(t.Context(), nil, Request{URL: server.URL, Header: header, ETag: etag, MaxSize: limit})
		if err != nil || doc.Unchanged != unchanged || doc.ETag != `"2"` || (len(doc.Body) == 0) != unchanged {
			t.Errorf("%s: got %+v, %v", etag, doc, err)
		}
	}
}

func TestGetKeepsNoCookies(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			t.Error("a cookie came back")
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
	})
	for range 2 {
		if _, err := Get(t.Context(), &http.Client{Jar: jar}, Request{URL: server.URL}); err != nil {
			t.Error(err)
		}
	}
}

func TestGetEndsWithItsContext(t *testing.T) {
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Get(ctx, nil, Request{URL: server.URL, AnswerTimeout: time.Minute}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := Get(t.Context(), nil, Request{URL: "http://a\x00"}); err == nil {
		t.Error("a URL that is malformed is fetched")
	}
}

func TestOrigin(t *testing.T) {
	for location, want := range map[string]string{
		"https://A.example/x?y":          "https://a.example",
		"https://a.example:443":          "https://a.example",
		"http://a.example:443":           "http://a.example:443",
		"https://a.example:08443":        "https://a.example:8443",
		"https://a.example:99999":        "https://a.example:99999",
		"https://[FD00:0::1]:443":        "https://[fd00::1]",
		"https://\u212a.example":         "https://\u212a.example",
		"https://xn--bcher-kva.example.": "https://xn--bcher-kva.example.",
	} {
		u, err := url.Parse(location)
		if err != nil {
			t.Fatal(err)
		}
		if got := Origin(u); got != want {
			t.Errorf("%s: got %s, want %s", location, got, want)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "auth.localhost": true, "a.B.LocalHost": true,
		".localhost": false, "a..localhost": false, "localhost.example": false, "notlocalhost": false, "auth.localhost.": false,
		"": false, "a.example": false, "127.0.0.1.example": false, "10.0.0.1": false, "localhost.": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}

package issuer

import (
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// A handler of the site that has the path of a hint answers in its own way, also on the bare connection and to HEAD.
func TestHintLeavesAnswers(t *testing.T) {
	hijack := func(w http.ResponseWriter) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("HTTP/1.1 299 Own\r\nContent-Length: 0\r\n\r\n"))
	}
	for name, c := range map[string]struct {
		method string
		other  func(http.ResponseWriter)
		status string
		hinted bool
	}{
		"hijack": {"GET", hijack, "299 Own", false},
		"hijacker": {"GET", func(w http.ResponseWriter) {
			if _, ok := w.(http.Hijacker); !ok {
				t.Error("not a Hijacker")
			}
			hijack(w)
		}, "299 Own", false},
		"head": {"HEAD", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "7")
			w.WriteHeader(http.StatusNotFound)
		}, "404 Not Found", false},
		"empty head": {"HEAD", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusNotFound)
		}, "404 Not Found", true},
		"early hints": {"GET", func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) }, "404 Not Found", true},
	} {
		t.Run(name, func(t *testing.T) {
			var logged strings.Builder
			done := make(chan struct{})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				defer close(done)
				hint := &Hint{Error: oauth.NotFound("the key set is elsewhere")}
				if answered, _ := hint.IsAnswered(w, func(w http.ResponseWriter) error { c.other(w); return nil }); !answered {
					hint.Write(w)
				}
			}))
			server.Config.ErrorLog = log.New(&logged, "", 0)
			server.Start()
			defer server.Close()
			request, _ := http.NewRequest(c.method, server.URL, nil)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			<-done
			hinted := response.Header.Get("Content-Type") == "application/json"
			if response.Status != c.status || hinted != c.hinted || logged.Len() > 0 {
				t.Errorf("%s, hinted %v; %s", response.Status, hinted, &logged)
			}
		})
	}
}

package admin

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// work serves a request whose work takes long enough for a line, if the client takes lines.
func work(t *testing.T, accept string, err error) (status int, kind, body string) {
	t.Helper()
	former := progressInterval
	progressInterval = time.Millisecond
	defer func() { progressInterval = former }()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &request{w: w, r: r}
		p := a.startProgress()
		if p.stop != nil {
			p.at("writing")(1, 2)
			time.Sleep(30 * time.Millisecond)
		}
		if err == nil {
			p.done(api.Applied{Changes: []api.Change{}})
		} else if err := p.fail(err); err != nil {
			writeError(w, err)
		}
	}))
	defer server.Close()
	r, requestErr := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
	if requestErr != nil {
		t.Fatal(requestErr)
	}
	r.Header.Set("Accept", accept)
	response, responseErr := server.Client().Do(r)
	if responseErr != nil {
		t.Fatal(responseErr)
	}
	defer response.Body.Close()
	var text strings.Builder
	if _, err := io.Copy(&text, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), text.String()
}

func TestProgressIsLines(t *testing.T) {
	failure := errors.New("the disk is full")
	const line = `{"progress":{"doing":"writing","done":1,"total":2}}` + "\n"
	for name, test := range map[string]struct {
		accept string
		err    error
		status int
		kind   string
		begins string
		ends   string
	}{
		"lines":         {api.TypeLines + ", application/json", nil, 200, api.TypeLines, line, `{"applied":{"changes":[],"dry_run":false}}` + "\n"},
		"lines, fails":  {api.TypeLines, failure, 200, api.TypeLines, line, `{"failed":{"error":"unavailable","message":"the disk is full"}}` + "\n"},
		"others":        {"application/json", nil, 200, "application/json", `{"changes"`, "}\n"},
		"others, fails": {"", failure, 503, "application/json", `{"error":"unavailable"`, "}\n"},
	} {
		status, kind, body := work(t, test.accept, test.err)
		if status != test.status || kind != test.kind || !strings.HasPrefix(body, test.begins) || !strings.HasSuffix(body, test.ends) {
			t.Errorf("%s: %d %s\n%s", name, status, kind, body)
		}
	}
}

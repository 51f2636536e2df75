package door

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// TestDecisionsFromTheCache: the claims of a token have a place in the key of a decision, whatever their types, and what the door
// does with a decision does not change it for later requests.
func TestDecisionsFromTheCache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.rego")
	if err := os.WriteFile(file, []byte(`package m2m.request

required contains "book:read" if count(input.token.claims) == 5
observed contains {"reason": "level"} if input.token.claims.level > 2
headers["X-Team"] := input.token.claims.team
`), 0o600); err != nil {
		t.Fatal(err)
	}
	engine, err := policy.Load(policy.Config{Paths: []string{file}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	d := streamDoor(t)
	d.Policy = &Policy{Engine: engine, UpstreamHeaders: []string{"X-Team"}, Log: zap.NewNop()}
	claims := streamClaims(time.Hour)
	for name, value := range map[string]any{"team": "a", "level": json.Number("3"), "list": []any{"x", nil, true}, "map": map[string]any{"a": json.Number("1.5")}} {
		claims.All[name] = value
	}
	request := httptest.NewRequest(http.MethodGet, "https://api/books", nil)
	first := d.decide(request, claims, match{method: http.MethodGet})
	for range 3 {
		header := make(http.Header)
		d.setHeaders(header, claims, first.result.Headers)
		header.Set("X-Team", "changed")
		again := d.decide(request, claims, match{method: http.MethodGet})
		if !reflect.DeepEqual(again.result, first.result) || again.result.Headers["X-Team"] != "a" || len(again.result.Required) != 1 {
			t.Errorf("the decision became %+v", again.result)
		}
		first = again
	}
	for _, use := range engine.Cache().Uses {
		if use.Kind == policy.RequestKind && (use.Hits != 3 || use.Misses != 1 || !use.Cached) {
			t.Errorf("the cache was used %+v", use)
		}
	}
}

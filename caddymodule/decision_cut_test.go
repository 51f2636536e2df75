package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/replay"
)

// TestLargestRequestGivesABoundedLine: the line says what it leaves out, and a replay does not judge it.
func TestLargestRequestGivesABoundedLine(t *testing.T) {
	const maxBody, maxLine, scopes = 64 << 10, 16 << 10, 100
	w := startIssuer(t, issuerSettings{})
	asked := make([]string, scopes)
	for i := range asked {
		asked[i] = fmt.Sprintf("book:%03d%s:burn", i, strings.Repeat("x", 450))
	}
	form := w.form("almighty", strings.Join(asked, " "))
	form += "&unknown=" + strings.Repeat("x", maxBody-len(form)-len("&unknown="))
	refusedToken(t, w.post(form), http.StatusBadRequest, "invalid_scope")
	w.granted(w.ask("almighty", "book:1:read"))

	var lines []string
	for line := range strings.Lines(w.Log()) {
		if strings.Contains(line, `"msg":"token decision"`) {
			lines = append(lines, line)
		}
	}
	if len(lines) != 2 {
		t.Fatalf("there are %d lines", len(lines))
	}
	var line struct {
		Input  struct{ Scopes []any }
		Result struct{ Rejected []any }
		Cut    map[string]int
	}
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	if len(lines[0]) > maxLine || len(lines[1]) > 2<<10 || strings.Contains(lines[1], `"cut"`) {
		t.Errorf("the lines have %d and %d bytes, the second is %s", len(lines[0]), len(lines[1]), lines[1])
	}
	for name, there := range map[string]int{"input.scopes": len(line.Input.Scopes), "result.rejected": len(line.Result.Rejected)} {
		if there == 0 || there+line.Cut[name] != scopes {
			t.Errorf("%s: %d are there and %d were left out, of %d", name, there, line.Cut[name], scopes)
		}
	}
	engine, err := policy.Load(policy.Config{Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	report, err := replay.Run(t.Context(), replay.Config{Policy: engine}, replay.Log{Name: "log", Reader: strings.NewReader(strings.Join(lines, ""))})
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Totals; got != (replay.Totals{Decisions: 2, Same: 1, Cut: 1}) {
		t.Errorf("the replay gives %+v", got)
	}
}

package clients_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenTelemetryUsesTokensAgain holds docs/wire.md to what it says of the extension oauth2client: its expiry_buffer of five
// minutes is as long as the life of some tokens, which it then uses only once. It sends no scope.
func TestOpenTelemetryUsesTokensAgain(t *testing.T) {
	program := filepath.Join(t.TempDir(), "opentelemetry")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = "opentelemetry"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := start(t, "respond {http.auth.user.jti}")
	for _, c := range []struct {
		name, client string
		more         []string
		again        bool
	}{
		{"ten minutes", client, nil, true},
		{"five minutes", short, nil, false},
		{"five minutes with expiry_buffer", short, []string{"-expiry-buffer", "10s"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"-client", c.client, "-token-url", s.site + "/oauth2/token"}, append(c.more, s.apis[0])...)
			command := exec.CommandContext(t.Context(), program, args...)
			command.Stdin, command.Stderr = strings.NewReader(s.secret), os.Stderr
			out, err := command.Output()
			if err != nil {
				t.Fatal(err)
			}
			if jti := strings.Fields(string(out)); len(jti) != 2 || (jti[0] == jti[1]) != c.again {
				t.Errorf("the tokens are %q", jti)
			}
		})
	}
}

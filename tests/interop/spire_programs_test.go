package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// The trust domain, the identity of the agent's node and that of the workload, which is the user who runs the test.
const (
	trustDomain = "example.org"
	node        = "spiffe://" + trustDomain + "/node"
	workload    = "spiffe://" + trustDomain + "/books"
)

// spire is a server of SPIRE, its discovery provider and an agent that the server has attested by a join token, all on loopback.
type spire struct {
	t      *testing.T
	dir    string // short, because the path of a socket is
	issuer string // URL of the discovery provider
}

// startSPIRE starts the programs and registers the workload. Each of them is stopped by its process ID after the test. The server
// puts an iss into JWT-SVIDs only if it is told to.
func startSPIRE(t *testing.T, withIssuer bool) *spire {
	t.Helper()
	dir, err := os.MkdirTemp("", "spire")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &spire{t: t, dir: dir, issuer: servertest.FreeURL(t)}
	port, jwtIssuer := servertest.FreePort(t), ""
	if withIssuer {
		jwtIssuer = fmt.Sprintf("jwt_issuer = %q", s.issuer)
	}

	s.start("spire-server", "run", "-config", s.write("server.conf", `server {
  bind_address = "127.0.0.1"
  bind_port = "%d"
  socket_path = "%[2]s/server.sock"
  trust_domain = "%[3]s"
  data_dir = "%[2]s"
  %[4]s
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "%[2]s/datastore.sqlite3"
    }
  }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
}
`, port, dir, trustDomain, jwtIssuer))
	s.eventually("the server answers", func() bool { return s.try("spire-server", "healthcheck", "-socketPath", dir+"/server.sock") == nil })

	s.start("oidc-discovery-provider", "-config", s.write("provider.conf", `domains = ["127.0.0.1"]
insecure_addr = "%s"
allow_insecure_scheme = true
server_api {
  address = "unix://%s/server.sock"
  poll_interval = "1s"
}
`, strings.TrimPrefix(s.issuer, "http://"), dir))

	uid := fmt.Sprintf("unix:uid:%d", os.Getuid())
	s.do("spire-server", "entry", "create", "-socketPath", dir+"/server.sock", "-parentID", node, "-spiffeID", workload, "-selector", uid)
	bundle := s.do("spire-server", "bundle", "show", "-socketPath", dir+"/server.sock")
	var join struct{ Value string }
	s.unmarshal(s.do("spire-server", "token", "generate", "-socketPath", dir+"/server.sock", "-spiffeID", node, "-output", "json"), &join)

	s.start("spire-agent", "run", "-joinToken", join.Value, "-config", s.write("agent.conf", `agent {
  data_dir = "%[2]s/agent"
  server_address = "127.0.0.1"
  server_port = "%[1]d"
  socket_path = "%[2]s/agent.sock"
  trust_bundle_path = "%[3]s"
  trust_domain = "%[4]s"
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
`, port, dir, s.write("bundle.pem", "%s", bundle), trustDomain))
	s.eventually("the agent knows the workload", func() bool {
		return s.try("spire-agent", "api", "fetch", "jwt", "-socketPath", dir+"/agent.sock", "-audience", "https://auth.example.com") == nil
	})
	s.eventually("the discovery provider has keys", func() bool {
		response, err := http.Get(s.issuer + "/keys")
		return err == nil && strings.Contains(servertest.Body(t, response), `"kid"`)
	})
	return s
}

// svid fetches a JWT-SVID of the workload from the agent, as a workload does.
func (s *spire) svid(audience ...string) string {
	s.t.Helper()
	args := []string{"api", "fetch", "jwt", "-socketPath", s.dir + "/agent.sock", "-output", "json", "-audience", strings.Join(audience, ",")}
	var answer []struct{ SVIDs []struct{ SVID string } }
	s.unmarshal(s.do("spire-agent", args...), &answer)
	if len(answer) == 0 || len(answer[0].SVIDs) != 1 {
		s.t.Fatalf("the agent gives %+v, want one JWT-SVID", answer)
	}
	return answer[0].SVIDs[0].SVID
}

// write writes a file whose text is a format, and returns its path.
func (s *spire) write(name, format string, args ...any) string {
	s.t.Helper()
	return servertest.WriteFile(s.t, s.dir, name, fmt.Sprintf(format, args...))
}

// start runs a program until the test ends.
func (s *spire) start(name string, args ...string) {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		s.t.Fatal(err)
	}
	command := exec.Command(filepath.Join(*spirePrograms, name), args...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && s.t.Failed() {
			s.t.Logf("%s:\n%s", name, text)
		}
	})
}

// try runs a program that ends by itself.
func (s *spire) try(name string, args ...string) error {
	_, err := s.output(name, args...)
	return err
}

// do is like try, returns what the program prints, and fails the test if the program fails.
func (s *spire) do(name string, args ...string) string {
	s.t.Helper()
	out, err := s.output(name, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (s *spire) output(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(*spirePrograms, name), args...).Output()
	return string(out), err
}

func (s *spire) eventually(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("still not: %s", what)
		}
	}
}

func (s *spire) unmarshal(text string, value any) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(text), value); err != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
}

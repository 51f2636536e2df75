package clients_test

import (
	"os"
	"os/exec"
	"testing"
)

// python is that of the distribution, for which apt-get installs libraries.
const python = "/usr/bin/python3"

// TestRequestsOAuthlib runs requests_oauthlib_test.py.
func TestRequestsOAuthlib(t *testing.T) {
	needs(t, python, "-c", "import requests_oauthlib")
	s := start(t, "respond ok")
	s.run(t, python, "-W", "ignore", "requests_oauthlib_test.py")
}

// TestAuthlib runs authlib_test.py.
func TestAuthlib(t *testing.T) {
	needs(t, python, "-c", "import authlib, requests")
	s := start(t, "respond ok")
	s.run(t, python, "-W", "ignore", "authlib_test.py")
}

// run runs a program that finds the server and the client in its environment.
func (s *server) run(t *testing.T, name string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Env = append(os.Environ(), "CLIENT_ID="+client, "CLIENT_SECRET="+s.secret, "ISSUER="+s.site,
		"TOKEN_URL="+s.site+"/oauth2/token", "API="+s.apis[0])
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

package interop_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// needPrograms skips a test on a machine without the programs that its recipe calls. The gate installs them.
func needPrograms(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(err)
		}
	}
}

// TestCurlWithCertificate runs the recipe's scripts, which make a CA and a certificate and call the API with it, and then calls
// with other certificates and with none.
func TestCurlWithCertificate(t *testing.T) {
	needPrograms(t, "curl", "openssl", "jq")
	r := newRecipe(t, "## curl with a certificate")
	r.Server = servertest.New(t)
	script := func(text string) string { return r.shell("cd " + r.dir + "\n" + text) }
	script(r.block("sh", 1))
	script(`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=server -keyout server.key -out server.pem \
		-addext subjectAltName=DNS:localhost -addext extendedKeyUsage=serverAuth
for name in other stranger; do
	signer='-CA clients-ca.pem -CAkey clients-ca.key'
	[ $name = other ] || signer=
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$name -keyout $name.key -out $name.pem \
		-addext subjectAltName=DNS:$([ $name = other ] && echo other || echo nightly).example.com -addext extendedKeyUsage=clientAuth $signer
done`)
	for _, name := range []string{"https://auth.example.com", "https://api.example.com"} {
		local := strings.Replace(r.sites[name], "http://127.0.0.1", "https://localhost", 1)
		r.sites["\n"+strings.TrimPrefix(name, "https://")+" {\n\ttls {"] = "\n" + local + " {\n\ttls " + filepath.Join(r.dir, "server.pem") + " " + filepath.Join(r.dir, "server.key") + " {"
		delete(r.sites, "\n"+strings.TrimPrefix(name, "https://")+" {")
		r.sites[name] = local
	}
	r.sites["curl "] = "curl --cacert server.pem "
	servertest.WriteFile(t, r.dir, "registry.yaml", r.block("yaml", 1))
	if err := r.Load("{\n\tauto_https disable_redirects\n" + strings.TrimPrefix(r.block("caddyfile", 1), "{\n")); err != nil {
		t.Fatal(err)
	}
	flow := r.block("sh", 2)
	if got := script(flow); got != "GET /books/1 for nightly" {
		t.Errorf("the recipe prints %q", got)
	}

	// Each certificate at the issuer, and then the good token with each of them at the API.
	certificate := "--cert nightly.pem --key nightly.key"
	token, call, _ := strings.Cut(flow, "\ncurl")
	call = "curl" + strings.Replace(call, "-sSf", "-s -o /dev/null -w '%{http_code}'", 1)
	status := strings.Replace(strings.Replace(strings.TrimPrefix(token, "TOKEN=$("), "-sSf", "-s -o /dev/null -w '%{http_code}'", 1), " | jq -r .access_token)", "", 1)
	for name, other := range map[string]string{
		"none": "", "of another client": "--cert other.pem --key other.key", "of another CA, with the name": "--cert stranger.pem --key stranger.key",
	} {
		if got := r.fails(strings.Replace(status, certificate, other, 1)); got != "401" && !strings.Contains(name, "another CA") || strings.HasPrefix(got, "2") {
			t.Errorf("%s: the issuer answers %q", name, got)
		}
		if got := r.fails(token + "\n" + strings.Replace(call, certificate, other, 1)); got != "401" && !strings.Contains(name, "another CA") || strings.HasPrefix(got, "2") {
			t.Errorf("%s: the API answers %q", name, got)
		}
	}
}

// fails runs a script in the folder of the recipe that may fail, as with a certificate that breaks the handshake.
func (r *recipe) fails(script string) string {
	command := exec.CommandContext(r.t.Context(), "bash", "-c", script)
	command.Dir = r.dir
	output, _ := command.Output()
	return strings.TrimSpace(string(output))
}

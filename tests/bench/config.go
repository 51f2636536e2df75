package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// serverCaddyfile is the config of every server. Sites with the same name have the same address.
const serverCaddyfile = `{
	admin {{site "admin"}}
	persist_config off
	auto_https disable_redirects
	storage file_system {{.Dir}}/storage
	log default {
		output file {{.Dir}}/log {
			roll_size 256MiB
			roll_keep 1
			roll_uncompressed
		}
		{{if .Silent}}exclude m2m.decisions{{end}}
	}
	m2m {
		{{with .TokenCache}}token_cache {{.}}{{end}}
		issuer http://{{site "token"}} {
			audience {{.Audience}}
			registry file {{.Registry}}
			{{if not .Limits}}client_limits off{{end}}
			{{if .Patient}}policy {
				timeout 20s
			}{{end}}
			token_ttl {{if .Variant}}9m{{else}}10m{{end}}
		}
		issuer http://{{site "clock"}} {
			registry file {{.Registry}}
			{{if not .Limits}}client_limits off{{end}}
			policy {{.ClockPolicy}} {
				timeout 20s
			}
		}
		issuer http://{{site "eddsa"}} {
			registry file {{.Registry}}
			{{if not .Limits}}client_limits off{{end}}
			policy {
				timeout 20s
			}
			signing_alg EdDSA
		}
	}
}
http://{{site "ready"}} {
	m2m_ready
}
http://{{site "usage"}} {
	bench_usage
}
http://{{site "respond"}} {
	respond "ok"
}
http://{{site "sign"}} {
	bench_sign
}
https://{{site "sign-tls"}} {
	tls {{.Certificate}} {{.Key}}
	bench_sign
}
http://{{site "token"}} {
	m2m_issuer http://{{site "token"}}
}
https://{{site "token-tls"}} {
	tls {{.Certificate}} {{.Key}}
	m2m_issuer http://{{site "token"}}
}
http://{{site "clock"}} {
	m2m_issuer http://{{site "clock"}}
}
http://{{site "eddsa"}} {
	m2m_issuer http://{{site "eddsa"}}
}
http://{{site "proxy"}} {
	reverse_proxy {{.Upstream}} {
		transport http {
			keepalive 1m # after a reload, Caddy closes the idle connections of a transport at once only if it has an option
		}
	}
}
http://{{site "door"}} {
	m2m_auth {
		issuer http://{{site "token"}}
		require GET /books book:*:read
		{{if .Variant}}require GET /other book:*:edit{{end}}
	}
	reverse_proxy {{.Upstream}} {
		transport http {
			keepalive 1m # after a reload, Caddy closes the idle connections of a transport at once only if it has an option
		}
	}
}
http://{{site "door-elsewhere"}} {
	m2m_auth {
		issuer {{.Elsewhere.URL}}
		audience {{.Audience}}
		require GET /books book:*:read
	}
	reverse_proxy {{.Upstream}} {
		transport http {
			keepalive 1m # after a reload, Caddy closes the idle connections of a transport at once only if it has an option
		}
	}
}
`

// clockPolicy cannot be cached: each decision reads the clock.
const clockPolicy = `package m2m.token

rejected contains {"scope": s.raw, "reason": "before 1970"} if {
	some s in input.scopes
	time.now_ns() < 0
}
`

const (
	manyGrants   = 50
	greedyGrants = 200
	demoClients  = 64
)

// fixture is what all servers of a run share.
type fixture struct {
	processes
	dir              string
	procs            int
	secret           string
	Audience         string
	ClockPolicy      string
	Certificate, Key string // paths
	Upstream         string // address
	Elsewhere        *elsewhere
}

func newFixture(procs int) (f *fixture, err error) {
	f = &fixture{procs: procs, secret: registry.NewSecret(), Audience: "https://api.example.com"}
	if f.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return nil, err
	}
	f.ClockPolicy = filepath.Join(f.dir, "policy", "clock.rego")
	if err := os.MkdirAll(filepath.Dir(f.ClockPolicy), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(f.ClockPolicy, []byte(clockPolicy), 0o600); err != nil {
		return nil, err
	}
	if err := f.certify(); err != nil {
		return nil, err
	}
	if f.Upstream, err = startUpstream(); err != nil {
		return nil, err
	}
	f.Elsewhere, err = startElsewhere(f.Audience)
	return f, err
}

// close stops what the fixture has started.
func (f *fixture) close() {
	f.stop()
	_ = os.RemoveAll(f.dir)
}

// writeRegistry writes a registry with that many clients besides those with special grants.
func (f *fixture) writeRegistry(name string, clients int) (string, error) {
	var y bytes.Buffer
	fmt.Fprintf(&y, "resources:\n  book:\n    description: Books of the catalogue\n    actions: {read: Read a book, edit: Change a book}\n")
	for i := range greedyGrants {
		fmt.Fprintf(&y, "  r%d:\n    actions: {read: Read}\n", i)
	}
	y.WriteString("clients:\n")
	client := func(id string, grants int) {
		fmt.Fprintf(&y, "  %s:\n    secrets: [{id: s1, sha256: %q}]\n    grants:\n", id, registry.HashSecret(f.secret))
		for i := range grants - 1 {
			fmt.Fprintf(&y, "      - {resource: r%d, identifiers: [\"*\"], actions: [read]}\n", i)
		}
		y.WriteString("      - {resource: book, identifiers: [\"*\"], actions: [read, edit]}\n")
	}
	client("many-grants", manyGrants)
	client("greedy", greedyGrants)
	for i := range clients {
		client(demo(i), 1)
	}
	path := filepath.Join(f.dir, name)
	return path, os.WriteFile(path, y.Bytes(), 0o600)
}

func demo(i int) string { return fmt.Sprintf("demo-%d", i) }

// certify makes the certificate of the sites with TLS.
func (f *fixture) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	public, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(24 * time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		return err
	}
	f.Certificate, f.Key = filepath.Join(f.dir, "certificate.pem"), filepath.Join(f.dir, "key.pem")
	if err := os.WriteFile(f.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(f.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
}

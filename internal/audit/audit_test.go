package audit

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"net/http"
	"testing"
)

// TestActor says who made a change, by the connection that it came over.
func TestActor(t *testing.T) {
	key := sha256.Sum256([]byte("key"))
	certificate := &x509.Certificate{Subject: pkix.Name{CommonName: "alice"}, RawSubjectPublicKeyInfo: []byte("key")}
	cases := map[string]struct {
		remote string
		tls    *tls.ConnectionState
		want   Actor
	}{
		"address":             {"127.0.0.1:9", nil, Actor{Kind: "socket", Remote: "127.0.0.1:9"}},
		"unix socket":         {"@", nil, Actor{Kind: "socket", Remote: "unix"}},
		"unnamed unix socket": {"", nil, Actor{Kind: "socket", Remote: "unix"}},
		"TLS, no certificate": {"10.0.0.1:9", &tls.ConnectionState{}, Actor{Kind: "socket", Remote: "10.0.0.1:9"}},
		"certificate": {"10.0.0.1:9", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}},
			Actor{"certificate", "CN=alice", hex.EncodeToString(key[:]), "10.0.0.1:9"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := ActorOf(&http.Request{RemoteAddr: c.remote, TLS: c.tls}); got != c.want {
				t.Errorf("the actor is %+v, want %+v", got, c.want)
			}
		})
	}
}

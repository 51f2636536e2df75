package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// changeEvent is the name of the Caddy event of a change.
const changeEvent = "m2m_change"

// actor is who made a change: the certificate of Caddy's remote administration, or else only the
// socket, for Caddy's local one asks for no name.
type actor struct {
	Kind   string `json:"kind"` // "certificate" or "socket"
	Name   string `json:"name,omitempty"`
	Key    string `json:"key,omitempty"` // SHA-256 of the certificate's public key, in hex
	Remote string `json:"remote"`
}

func actorOf(r *http.Request) actor {
	remote := r.RemoteAddr
	if remote == "" || strings.HasPrefix(remote, "@") {
		remote = "unix"
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return actor{Kind: "socket", Remote: remote}
	}
	certificate := r.TLS.PeerCertificates[0]
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return actor{"certificate", certificate.Subject.String(), hex.EncodeToString(sum[:]), remote}
}

// audit logs a change and emits its event. What it shows of clients has no secret and no hash.
func (a *adminRequest) audit(operation string, changes ...registry.Change) {
	for _, c := range changes {
		if c.Action() != "" {
			a.record("registry changed", operation, c.Kind, c.ID, c.Action(), viewEntry(c.Before), viewEntry(c.After))
		}
	}
}

// record logs what has changed, and emits its event.
func (a *adminRequest) record(message, operation, kind, id, action string, before, after any) {
	who := actorOf(a.r)
	a.system.logger.Info(message,
		zap.String("issuer", a.issuer.URL), zap.Any("actor", who), zap.String("operation", operation), zap.String("kind", kind),
		zap.String("id", id), zap.String("action", action), zap.Any("before", before), zap.Any("after", after))
	a.system.emit(changeEvent, map[string]any{
		"issuer": a.issuer.URL, "actor": who, "operation": operation, "kind": kind,
		"id": id, "action": action, "before": before, "after": after,
	})
}

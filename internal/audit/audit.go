// Package audit records who has changed what: as a line of the audit log, and as a Caddy event. Record is its entry
// point. It imports no other package of this module.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"go.uber.org/zap"
)

// Event is the name of the Caddy event of a change.
const Event = "m2m_change"

// Trail is where the changes of one issuer are recorded.
type Trail struct {
	Issuer string
	Logger *zap.Logger
	// Emit emits a Caddy event.
	Emit func(name string, data map[string]any)
}

// Change is one change. Before and After hold no secret and no hash of one.
type Change struct {
	Actor     Actor
	Operation string
	Kind      string // of what was changed, such as "client"
	ID        string
	Action    string // "create", "update" or "delete"
	Before    any
	After     any
}

// Record logs a change and emits its event.
func (t Trail) Record(message string, c Change) {
	t.Logger.Info(message, zap.String("issuer", t.Issuer), zap.Any("actor", c.Actor), zap.String("operation", c.Operation),
		zap.String("kind", c.Kind), zap.String("id", c.ID), zap.String("action", c.Action), zap.Any("before", c.Before), zap.Any("after", c.After))
	t.Emit(Event, map[string]any{
		"issuer": t.Issuer, "actor": c.Actor, "operation": c.Operation, "kind": c.Kind,
		"id": c.ID, "action": c.Action, "before": c.Before, "after": c.After,
	})
}

// Actor is who made a change.
type Actor struct {
	Kind   string `json:"kind"` // "certificate", "socket", "client", or "issuer" for what the issuer does by itself
	Name   string `json:"name,omitempty"`
	Key    string `json:"key,omitempty"` // SHA-256 of the certificate's public key, in hex
	Remote string `json:"remote"`
}

// ActorOf returns who sent a request to the admin API: the holder of the client certificate of Caddy's remote
// administration. Caddy's local administration asks for no name, so its actor is the socket.
func ActorOf(r *http.Request) Actor {
	remote := r.RemoteAddr
	if remote == "" || strings.HasPrefix(remote, "@") {
		remote = "unix"
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return Actor{Kind: "socket", Remote: remote}
	}
	certificate := r.TLS.PeerCertificates[0]
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return Actor{"certificate", certificate.Subject.String(), hex.EncodeToString(sum[:]), remote}
}

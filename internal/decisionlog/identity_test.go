package decisionlog

import (
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// TestLoggedIdentities: what is written by hand is what encoding/json would write.
func TestLoggedIdentities(t *testing.T) {
	in := &policy.IdentityInput{
		Issuer: "https://auth.example.com", Clients: []string{"a", "b"}, Time: time.Unix(1, 0),
		Identity: policy.Identity{
			Issuer: "https://ci.example.com", Subject: "repo:acme/books", Type: "jwt", KeyID: "k1", Claims: map[string]any{"list": []any{"x", true}, "environment": "production"},
		},
		Request: policy.IdentityRequest{RemoteIP: "192.0.2.1", ClientID: "a", GrantType: "client_credentials"},
	}
	line := mustWrite(t, IdentityEvent(in, &policy.IdentityDecision{Clients: []string{"a"}, Denied: []string{"closed"}, Revision: "r1"}), "")
	sameJSON(t, line["input"], in)
	sameJSON(t, line["result"], map[string]any{"clients": []string{"a"}, "denied": []string{"closed"}})
	sameJSON(t, line["path"], "m2m/identity")
	sameJSON(t, line["requested_by"], "192.0.2.1")
	if line["client_id"] != nil {
		t.Error("the line names a client that is not authenticated")
	}
}

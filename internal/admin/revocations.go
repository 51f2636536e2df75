package admin

import (
	"net/http"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
)

// createRevocation revokes a token by its jti, or all tokens of a client. It also works with a registry file, because
// revocations are in storage.
func createRevocation(a *request) error {
	if err := a.checkNoVersion(); err != nil {
		return err
	}
	entry, err := a.newRevocation()
	if err != nil {
		return err
	}
	if err := entry.Check(time.Now()); err != nil {
		return api.Invalid("%s", err)
	}
	created := api.CreatedRevocation{Revocation: issuer.ViewRevocation(entry)}
	if entry.ClientID != "" {
		_, err := a.issuer.Registry.Client(a.r.Context(), entry.ClientID)
		if known := err == nil; known || isNotFound(err) {
			created.KnownClient = &known
		}
	}
	if err := a.issuer.Revoke(a.r.Context(), entry); err != nil {
		return err
	}
	a.issuer.AuditRevocation(audit.ActorOf(a.r), "revocation.create", entry)
	writeJSON(a.w, http.StatusCreated, created)
	return nil
}

// newRevocation reads the body: the jti of a token and when it expires, or a client_id and the time before which its tokens
// were issued.
func (a *request) newRevocation() (e revocation.Entry, err error) {
	fields, err := a.fields("a revocation", "jti", "expires", "client_id", "before")
	if err != nil {
		return e, err
	}
	id, ofToken, err := fields.text("jti")
	if err != nil {
		return e, err
	}
	client, ofClient, err := fields.text("client_id")
	if err != nil {
		return e, err
	}
	if ofToken == ofClient {
		return e, api.Invalid("either jti or client_id is needed")
	}
	now := time.Now()
	if ofClient {
		before := now
		if _, err := fields.take("before", "a time as in RFC 3339, such as 2027-01-31T00:00:00Z", &before); err != nil {
			return e, err
		}
		return revocation.OfClient(client, before), onlyFor("client_id", fields, "expires")
	}
	if api.LooksLikeToken(id) || credential.Contains(id) {
		return e, api.Invalid("jti must be the ID of a token, not the token or a secret")
	}
	expires, err := fields.future("expires")
	if err != nil {
		return e, err
	}
	if expires.IsZero() {
		expires = now.Add(revocation.MaxTokenLife)
	}
	return revocation.OfToken(id, expires), onlyFor("jti", fields, "before")
}

// onlyFor refuses a field that does not go with what.
func onlyFor(what string, fields bodyFields, other string) error {
	if _, given := fields[other]; given {
		return api.Invalid("%s does not go with %s", other, what)
	}
	return nil
}

// listRevocations lists the revocations in force at this node in pages, those of clients first.
func listRevocations(a *request) error {
	limit, err := a.page()
	if err != nil {
		return err
	}
	after, err := parseRevocationName(a.query.Get("after"))
	if err != nil {
		return err
	}
	if err := a.issuer.Revocations.Open(a.r.Context()); err != nil {
		return err
	}
	set := a.issuer.Revocations.Set()
	answer := api.RevocationList{Count: set.Len(), Revocations: []api.Revocation{}}
	entries := set.Entries(time.Now(), after, limit+1)
	if len(entries) > limit {
		entries, answer.Next = entries[:limit], revocationName(entries[limit-1])
	}
	for _, e := range entries {
		answer.Revocations = append(answer.Revocations, issuer.ViewRevocation(e))
	}
	writeJSON(a.w, http.StatusOK, answer)
	return nil
}

// revocationName names a revocation in the pages of a list.
func revocationName(e revocation.Entry) string {
	if e.ID != "" {
		return "jti:" + e.ID
	}
	return "client_id:" + e.ClientID
}

func parseRevocationName(name string) (after revocation.Entry, err error) {
	kind, id, _ := strings.Cut(name, ":")
	switch {
	case name == "":
	case kind == "jti" && id != "":
		after.ID = id
	case kind == "client_id" && id != "":
		after.ClientID = id
	default:
		return after, api.Invalid(`after must be "next" of the previous page`)
	}
	return after, nil
}

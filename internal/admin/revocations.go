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
	f := a.fields("a revocation", "jti", "expires", "client_id", "before")
	id, ofToken := f.text("jti")
	client, ofClient := f.text("client_id")
	if ofToken == ofClient {
		f.fail("either jti or client_id is needed")
	}
	now := time.Now()
	if ofClient {
		before := now
		f.time("before", &before)
		if f.has("expires") {
			f.fail("expires does not go with client_id")
		}
		return revocation.OfClient(client, before), f.err
	}
	if api.LooksLikeToken(id) || credential.Contains(id) {
		f.fail("jti must be the ID of a token, not the token or a secret")
	}
	expires := f.future("expires")
	if expires.IsZero() {
		expires = now.Add(revocation.MaxTokenLife)
	}
	if f.has("before") {
		f.fail("before does not go with jti")
	}
	return revocation.OfToken(id, expires), f.err
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

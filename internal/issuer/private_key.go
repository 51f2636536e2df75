package issuer

import (
	"context"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/assertion"
	"github.com/caddy-m2m/caddy-m2m/internal/clientkeys"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/once"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Reasons of refusals of clients that send an assertion. Those of package token stand behind assertionReason.
const (
	assertionReason = "assertion_"
	// notOwnAssertion is an assertion whose iss is not its sub, or not the client_id of the request.
	notOwnAssertion = assertionReason + "not_own"
	// assertionReplayed is an assertion that was used before, and tooManyAssertions one of a client that has used too many that
	// have not expired.
	assertionReplayed = assertionReason + "replayed"
	tooManyAssertions = assertionReason + "too_many"
	// keysUnavailable means that the keys at the client's jwks_uri could not be fetched.
	keysUnavailable = "keys_unavailable"
)

// keyFetchWait is how long an assertion waits for the keys at a jwks_uri. The refusal of any assertion whose signature was to be
// checked takes as long, so that its time does not tell whether there is such a client, or such a key.
const keyFetchWait = time.Second

// authenticateAssertion finds a client by an assertion that it has signed with its own key (RFC 7523 §2.2).
//
// What can be checked without the client is checked first. The rest takes the same time for all refusals.
func (c *call) authenticateAssertion(ctx context.Context, credentials oauth.Credentials, fault faulty) *oauth.Error {
	if !c.issuer.takes(oauth.PrivateKeyJWT) || credentials.AssertionType != oauth.AssertionTypeJWT {
		return oauth.UnsupportedClientAuthentication()
	}
	opened, err := assertion.Open(credentials.Assertion)
	if err != nil {
		return c.refuseSlowly(ctx, credentials.ClientID, &registry.Refusal{Reason: reasonOf(err)})
	}
	p := privateKeyProof{call: c, opened: opened, expect: c.issuer.expectAssertion(c.start)}
	id := opened.Subject()
	p.unfit = p.checkWithoutKey(credentials.ClientID)
	waiting, cancel := context.WithDeadline(ctx, c.start.Add(keyFetchWait))
	defer cancel()
	client, err := c.issuer.Registry.AuthenticateBy(ctx, id, func(client *registry.Client) string { return p.check(waiting, client) }, c.start)
	if err != nil {
		if p.unfit == "" {
			c.least = keyFetchWait
		}
		return c.refuseOrFail(ctx, id, err, fault)
	}
	if refused := c.useOnce(client, p.identity, p.expect); refused != nil {
		return refused
	}
	return c.accept(authenticated{client: client, method: oauth.PrivateKeyJWT, identity: p.identity, keyID: p.identity.KeyID})
}

// privateKeyProof is an assertion of a client that is being checked.
type privateKeyProof struct {
	call     *call
	opened   *assertion.Assertion
	expect   assertion.Expect
	unfit    string              // why the assertion is not one of any client, "" if it may be
	identity *assertion.Identity // after a check that succeeds
}

// expectAssertion returns what is expected of assertions of clients.
func (s *Server) expectAssertion(now time.Time) assertion.Expect {
	return assertion.Expect{Audiences: s.assertionAudiences(), Now: now}
}

// assertionAudiences returns the names of the issuer in assertions of clients. Its URL alone is safe (RFC 7523bis §4): that of an
// endpoint may be one that another server claims as its own.
func (s *Server) assertionAudiences() []string {
	if s.TokenEndpointAudience {
		return []string{s.URL, s.URL + oauth.TokenPath}
	}
	return []string{s.URL}
}

// checkWithoutKey returns why no key would make the assertion that of a client, "" if one may.
func (p *privateKeyProof) checkWithoutKey(clientID string) string {
	if err := p.opened.Check(p.expect); err != nil {
		return reasonOf(err)
	}
	if p.opened.Issuer() != p.opened.Subject() || clientID != "" && clientID != p.opened.Subject() {
		return notOwnAssertion
	}
	return ""
}

// check checks the assertion with the keys of a client, which may have none. It returns the reason of a refusal.
func (p *privateKeyProof) check(ctx context.Context, client *registry.Client) string {
	if p.unfit != "" {
		return p.unfit
	}
	keys, failed := p.call.issuer.keysOf(ctx, client, p.opened.KeyID())
	identity, err := p.opened.Verify(keys, p.expect)
	p.call.cause = ""
	switch {
	case failed != nil:
		p.call.cause = failed.Error()
		return keysUnavailable
	case err != nil:
		return reasonOf(err)
	case !client.Allows(registry.PrivateKeyJWT):
		return otherMethod
	}
	p.identity = identity
	return ""
}

func reasonOf(err error) string { return assertionReason + string(token.ErrorReason(err)) }

// keysOf returns the keys of a client, nil if it has none.
func (s *Server) keysOf(ctx context.Context, client *registry.Client, kid string) (*token.KeySet, error) {
	switch {
	case client.JWKSURI != "":
		return s.ClientKeys.KeySet(ctx, client.JWKSURI, s.JWKSAllowed, kid)
	case len(client.Keys) == 0:
		return nil, nil
	}
	return s.inputs.keys.get(client, func() *token.KeySet {
		keys, _, err := token.ParseKeySet(client.JWKS())
		if err != nil { // the registry has checked each key
			return nil
		}
		return keys.WithThumbprints()
	}, func(*token.KeySet) int { return weighKeys * len(client.Keys) }), nil
}

// weighKeys estimates the bytes of a key.
const weighKeys = 3000

// useOnce notes the use of an assertion, and refuses one that was used before. The assertion is valid, so its sender may know why.
func (c *call) useOnce(client *registry.Client, identity *assertion.Identity, expect assertion.Expect) *oauth.Error {
	owner := c.issuer.URL + " " + client.ID
	switch c.issuer.Used.Use("client assertion "+c.issuer.URL, owner, client.ID+" "+identity.ID, expect.UsableUntil(identity), c.start) {
	case once.Fresh:
		return nil
	case once.OwnerFull:
		c.refuseClient(&registry.Refusal{Reason: tooManyAssertions, ClientID: client.ID})
		return oauth.TooManyRequests("too many assertions of this client have not expired; let them expire sooner", usedRetryAfter)
	case once.Full:
		c.issuer.warnOfOverload()
		return oauth.Overloaded(usedRetryAfter)
	}
	return c.refuseSlowly(c.http.Context(), client.ID, &registry.Refusal{Reason: assertionReplayed, ClientID: client.ID})
}

// usedRetryAfter is when a client may try again whose assertion could not be remembered, in seconds.
const usedRetryAfter = 10

// ClientKeySource fetches the keys that clients publish at a jwks_uri.
type ClientKeySource interface {
	KeySet(ctx context.Context, url string, allowed clientkeys.Allowed, kid string) (*token.KeySet, error)
}

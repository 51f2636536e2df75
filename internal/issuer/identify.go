package issuer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/assertion"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// Reasons of refusals of assertions of trusted issuers. The caller does not learn them.
const (
	// badAssertion is one that is malformed, has expired, is for another server, or whose signature is wrong.
	badAssertion = "bad_assertion"
	// untrustedIssuer is one of an issuer that the config does not trust.
	untrustedIssuer = "untrusted_issuer"
	// unknownIdentity is an identity that stands for no client, or not for the one that the request names.
	unknownIdentity = "unknown_identity"
	// ambiguousIdentity is an identity that stands for several clients, in a request that names none.
	ambiguousIdentity = "ambiguous_identity"
	// identityDenied is an identity that the policy denies.
	identityDenied = "identity_denied"
	// otherMethod is the refusal of a client that may only authenticate by another method.
	otherMethod = "other_method"
)

// maxFederatedLifetime is how far exp of an assertion of a trusted issuer may be ahead. Some clouds issue identity tokens for a day.
const maxFederatedLifetime = 24 * time.Hour

// presented is an assertion of a trusted issuer in a request.
type presented struct {
	raw string
	// clientID is the client that the request names, "" if it names none.
	clientID string
	// types are the accepted values of typ. Default: those of assertion.Expect.
	types []string
	// besides says that the client has authenticated by other credentials. Otherwise the assertion authenticates it.
	besides bool
}

// issuerOf returns the trusted issuer of an assertion, or nil if there is none. The claims are not verified.
func (s *Server) issuerOf(a *assertion.Assertion) *TrustedIssuer {
	return s.trustedOf(a.Issuer(), a.Subject())
}

// identify finds the client that an assertion of a trusted issuer stands for. The error is a *registry.Refusal, or a failure on
// this side. No turn of a client is used while it waits for the keys of the issuer.
func (c *call) identify(ctx context.Context, p presented) (authenticated, error) {
	opened, err := assertion.Open(p.raw)
	if err != nil {
		return authenticated{}, &registry.Refusal{Reason: badAssertion}
	}
	trusted := c.issuer.issuerOf(opened)
	if trusted == nil {
		return authenticated{}, &registry.Refusal{Reason: untrustedIssuer}
	}
	if !p.besides && !c.issuer.takes(trusted.method()) {
		return authenticated{}, errNotTaken
	}
	identity, err := trusted.verify(ctx, opened, p, c.start)
	if err != nil {
		return authenticated{}, err
	}
	return c.mapIdentity(ctx, trusted, identity, p)
}

// verify verifies an assertion with the keys of its issuer.
//
// The same assertion is accepted again until it expires. Kubernetes writes a token into a file for an hour, and a job of a CI
// system sends its token with each of its steps, so a jti that is there does not say that the assertion is for one use.
func (t *TrustedIssuer) verify(ctx context.Context, a *assertion.Assertion, p presented, now time.Time) (*assertion.Identity, error) {
	identity, err := t.check(ctx, a, p, now)
	return identity, refusedAssertion(err)
}

// refusedAssertion returns the refusal of an assertion for an error of check, or the error if it is a failure on this side.
func refusedAssertion(err error) error {
	if reason := token.ErrorReason(err); reason != "" {
		return &registry.Refusal{Reason: badAssertion}
	}
	return err
}

// check is like verify. Its error says what is wrong.
func (t *TrustedIssuer) check(ctx context.Context, a *assertion.Assertion, p presented, now time.Time) (*assertion.Identity, error) {
	expect := assertion.Expect{
		Audiences: t.Audiences, AudienceList: true, Types: p.types, MaxLifetime: maxFederatedLifetime,
		NoID: true, NoIssuer: t.TrustDomain != "", NoActor: !p.besides, Algs: t.Algs, Now: now,
	}
	if err := a.Check(expect); err != nil { // before the keys, which may have to be fetched
		return nil, err
	}
	keys, err := t.Keys.KeySet(ctx, a.KeyID())
	switch {
	case token.ErrorReason(err) != "": // the key was given up
		return nil, err
	case err != nil:
		return nil, &keysFault{t.URL, err}
	}
	identity, err := a.Verify(keys, expect)
	if err != nil {
		return nil, err
	}
	identity.Issuer = t.URL // which a JWT-SVID need not have
	return identity, nil
}

// errNotTaken is the refusal of a method that the config leaves out.
var errNotTaken = errors.New("the method of authentication is not taken")

// keysFault is the failure to get the keys of a trusted issuer. Its cause is logged where keys are fetched, once for all requests.
type keysFault struct {
	issuer string
	err    error
}

func (f *keysFault) Error() string { return fmt.Sprintf("trusted issuer %q: %v", f.issuer, f.err) }
func (f *keysFault) Unwrap() error { return f.err }

// mapIdentity finds the client that a verified identity stands for: by the registry, and by the policy.
func (c *call) mapIdentity(ctx context.Context, t *TrustedIssuer, identity *assertion.Identity, p presented) (authenticated, error) {
	input, err := c.identityInput(ctx, t, identity, p.clientID)
	if err != nil {
		return authenticated{}, err
	}
	decided, err := c.issuer.Policy.DecideIdentity(ctx, input)
	if err != nil {
		return authenticated{}, c.issuer.identities.failed(t, err, c.start)
	}
	a, err := c.chosen(ctx, t, identity, decided, p.clientID)
	if refusal := (*registry.Refusal)(nil); errors.As(err, &refusal) {
		c.logIdentity(&input, &decided, refusal)
	}
	return a, err
}

// chosen returns the client of a decision that the request is for.
func (c *call) chosen(
	ctx context.Context, t *TrustedIssuer, identity *assertion.Identity, decided policy.IdentityDecision, asked string,
) (authenticated, error) {
	id, err := choose(decided, asked)
	if err != nil {
		return authenticated{}, err
	}
	a := authenticated{method: t.method(), identity: identity, keyID: identity.KeyID}
	a.client, err = c.issuer.openClient(ctx, id, a.method, c.start)
	return a, err
}

// identityInput returns what the policy is asked about an identity, in a request that names a client or none.
func (c *call) identityInput(ctx context.Context, t *TrustedIssuer, identity *assertion.Identity, asked string) (policy.IdentityInput, error) {
	listed, err := c.issuer.Registry.ClientsFor(ctx, t.URL, identity.Subject)
	if err != nil {
		return policy.IdentityInput{}, err
	}
	in := policy.IdentityInput{
		Issuer:  c.issuer.URL,
		Request: policy.IdentityRequest{RemoteIP: c.issuer.Host.ClientIP(c.http), ClientID: asked, GrantType: c.grantType},
		Time:    c.start,
		Identity: policy.Identity{
			Issuer: t.URL, Subject: identity.Subject, Type: t.kind(), KeyID: identity.KeyID, Claims: identity.Claims,
		},
	}
	for _, client := range listed {
		if client.HasIdentity(t.kind(), t.URL, identity.Subject, identity.Claims) {
			in.Clients = append(in.Clients, client.ID)
		}
	}
	slices.Sort(in.Clients)
	return in, nil
}

// choose returns the client of a decision that a request is for.
func choose(d policy.IdentityDecision, asked string) (string, error) {
	switch {
	case len(d.Denied) > 0:
		return "", &registry.Refusal{Reason: identityDenied, ClientID: onlyOf(d.Clients)}
	case asked != "" && slices.Contains(d.Clients, asked):
		return asked, nil
	case asked != "" || len(d.Clients) == 0:
		return "", &registry.Refusal{Reason: unknownIdentity}
	case len(d.Clients) > 1:
		return "", &registry.Refusal{Reason: ambiguousIdentity}
	}
	return d.Clients[0], nil
}

func onlyOf(ids []string) string {
	if len(ids) == 1 {
		return ids[0]
	}
	return ""
}

// openClient returns a client that may act by a method now. The policy may have named one that does not exist.
func (s *Server) openClient(ctx context.Context, id, method string, now time.Time) (*registry.Client, error) {
	return s.Registry.AuthenticateBy(ctx, id, func(client *registry.Client) string {
		if !client.Allows(method) {
			return otherMethod
		}
		return ""
	}, now)
}

// party returns what policies see of the identity of an assertion of a trusted issuer.
func (a authenticated) party() *policy.Party {
	kind := registry.TypeJWT
	if a.method == oauth.SPIFFEJWT {
		kind = registry.TypeSPIFFE
	}
	return &policy.Party{
		Issuer: a.identity.Issuer, Subject: a.identity.Subject, ClientID: a.client.ID, Claims: a.identity.Claims, Type: kind, KeyID: a.identity.KeyID,
	}
}

// refuseIdentity answers an error of identify. The id is the client's as it was sent.
func (c *call) refuseIdentity(ctx context.Context, id string, err error, fault faulty) *oauth.Error {
	var failed *policy.Error
	switch {
	case errors.Is(err, errNotTaken):
		return oauth.UnsupportedClientAuthentication()
	case isKeysFault(err):
		return fault("getting the keys of a trusted issuer", err)
	case errors.As(err, &failed):
		return fault("deciding on an identity", err)
	}
	return c.refuseOrFail(ctx, id, err, fault)
}

// method returns the name of the method by which workloads of the issuer authenticate.
func (t *TrustedIssuer) method() string {
	if t.kind() == registry.TypeSPIFFE {
		return oauth.SPIFFEJWT
	}
	return oauth.FederatedJWT
}

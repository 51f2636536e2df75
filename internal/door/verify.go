package door

import (
	"cmp"
	"context"
	"net/http"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// authenticate finds and verifies the token of a request, and the proofs that it needs.
func (d *Door) authenticate(w http.ResponseWriter, r *http.Request) (token.Verified, *Refusal) {
	raw, scheme, challenge := oauth.AccessToken(r)
	if challenge != nil {
		return token.Verified{}, &Refusal{Challenge: challenge}
	}
	verified, refused := d.verify(r.Context(), raw)
	if refused == nil {
		refused = d.prove(w, r, presented{raw, scheme}, verified.Claims)
	}
	return verified, refused
}

func (d *Door) verify(ctx context.Context, raw string) (token.Verified, *Refusal) {
	verified, err := d.verifier.Verify(raw, func(issuer, kid string) (*token.KeySet, error) {
		return d.trusted(issuer).KeySet(ctx, kid)
	})
	if err == nil {
		d.metricsOf(verified.Issuer).TokenLookup(string(verified.Source))
		return verified, cmp.Or(d.refuseRevoked(ctx, verified), d.identity.check(verified.Claims))
	}
	refused := invalidToken(err)
	if token.ErrorReason(err) == "" { // nothing is wrong with the token
		refused = unavailable(reasonNoKeys, "the issuer's keys are not available now", err)
	}
	refused.issuer = verified.ChosenIssuer()
	return token.Verified{}, refused
}

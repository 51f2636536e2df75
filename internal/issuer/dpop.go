package issuer

import (
	"context"
	"errors"

	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// openProof reads the DPoP proof of a token request, if there is one, and compares it with the request (RFC 9449 §5). It comes
// before the authentication of the client: an assertion is used once, and a client that must send the request again for
// a nonce may not make another. The signature, which costs more, is checked by prove.
func (t *tokenRequest) openProof() *oauth.Error {
	text, err := dpop.Read(t.http.Header)
	if err == nil && text == "" {
		return nil
	}
	if err == nil {
		t.proof, err = t.issuer.Proofs.Open(text, dpop.Request{Method: t.http.Method, URLs: t.issuer.tokenURLs()})
	}
	return t.refuseProof(err)
}

// tokenURLs returns the URLs of the token endpoint. They come from the config, never from the request.
func (s *Server) tokenURLs() []string {
	urls := []string{s.URL + oauth.TokenPath}
	if s.MTLSURL != "" {
		urls = append(urls, s.MTLSURL+oauth.TokenPath)
	}
	return urls
}

// prove checks that the authenticated client has the key of its proof. The token is then bound to the key.
func (t *tokenRequest) prove(context.Context) *oauth.Error {
	if t.proof == nil {
		if t.client.DPoPBound {
			return t.withID(oauth.InvalidProof(dpop.CodeInvalidProof, "the client must send a DPoP proof", ""))
		}
		return nil
	}
	if err := t.proof.Use(dpop.Owner(t.issuer.URL, t.client.ID)); err != nil {
		return t.withID(t.refuseProof(err))
	}
	t.confirmation.JKT = t.proof.KeyID()
	return nil
}

// refuseProof returns the answer to a proof that is refused, nil if err is.
func (t *tokenRequest) refuseProof(err error) *oauth.Error {
	var refused *dpop.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return oauth.InvalidProof(refused.Code, refused.Description, refused.Nonce)
	}
	return oauth.TooManyRequests("too many DPoP proofs in a short time", int(dpop.MaxAge.Seconds()))
}

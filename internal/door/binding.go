package door

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/clientcert"
	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// How a token can be bound to a key of its client.
const (
	boundDPoP = "dpop" // RFC 9449: the client signs a proof for each request
	boundMTLS = "mtls" // RFC 8705: the client sends its certificate in the TLS handshake
)

// Binding says how a door takes tokens that are bound to a key. It always wants the proof of each key that a token names.
type Binding struct {
	// Required refuses tokens that are bound in none of these ways. If it is empty, plain bearer tokens are accepted.
	Required []string
	// Certificates finds the certificate of a client.
	Certificates clientcert.Reader
	// Proofs checks the proofs of DPoP. If it is nil, tokens that need one are refused.
	Proofs *dpop.Checker
}

// CheckBound fails on what is not a way to bind a token, and on a repeated one.
func CheckBound(ways []string) error {
	for n, way := range ways {
		switch {
		case way != boundDPoP && way != boundMTLS:
			return fmt.Errorf("%q is not a way to bind a token; dpop and mtls are", way)
		case slices.Contains(ways[:n], way):
			return fmt.Errorf("%s is given twice", way)
		}
	}
	return nil
}

// CheckCertificateHeader fails on a header in which no certificate can be sent.
func CheckCertificateHeader(name string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return fmt.Errorf("%q is not a header name", name)
	case httpguard.FoldsToAny(name, slices.Concat(messageHeaders, setByProxy)):
		return fmt.Errorf("the header %q cannot hold a certificate", name)
	}
	return nil
}

// Check fails on settings that contradict each other.
func (b *Binding) Check(f ForwardAuth) error {
	if b.Certificates.Header != "" {
		if err := CheckCertificateHeader(b.Certificates.Header); err != nil {
			return err
		}
	}
	if f != "" && slices.Equal(b.Required, []string{boundMTLS}) && b.Certificates.Header == "" {
		return errors.New("bound mtls with forward_auth needs client_certificate_header: the connection is that of the proxy that asks")
	}
	return CheckBound(b.Required)
}

// checkCertificateHeader fails if the door removes the header of certificates before it reads it, from everyone.
func (d *Door) checkCertificateHeader() error {
	name := d.Binding.Certificates.Header
	switch {
	case name == "":
	case d.identity.drops(name):
		return fmt.Errorf("header %q cannot both hold a certificate and tell the upstream who sends a request", name)
	case d.overrides.Drops(textproto.CanonicalMIMEHeaderKey(name)):
		return fmt.Errorf("header %q cannot hold a certificate: it overrides the request, so the door removes or refuses it", name)
	}
	return nil
}

// waysOf returns how a token is bound: in none, one or both of the ways.
func waysOf(c token.Confirmation) (ways []string) {
	if c.JKT != "" {
		ways = append(ways, boundDPoP)
	}
	if c.X5TS256 != "" {
		ways = append(ways, boundMTLS)
	}
	return ways
}

// suffices reports whether the door takes tokens that are bound in these ways.
func (b *Binding) suffices(ways []string) bool {
	return len(b.Required) == 0 || slices.ContainsFunc(ways, func(way string) bool { return slices.Contains(b.Required, way) })
}

// onlyDPoP reports whether every token must be presented with a proof of DPoP.
func (b *Binding) onlyDPoP() bool { return len(b.Required) == 1 && b.Required[0] == boundDPoP }

// describe returns what the metadata of the resource says (RFC 9728 §2).
func (b *Binding) describe() oauth.ResourceBinding {
	described := oauth.ResourceBinding{
		CertificateBound: slices.Contains(b.Required, boundMTLS) || b.Certificates.Header != "", DPoPRequired: b.onlyDPoP(),
	}
	if b.Proofs != nil {
		described.ProofAlgs = token.ProofAlgs()
	}
	return described
}

// Reasons of refusals for a missing or a wrong proof. Those of a proof of DPoP that is refused begin with reasonProof.
const (
	reasonNotBound             = "not_bound"
	reasonMissingProof         = "missing_proof"
	reasonWrongKey             = "wrong_key"
	reasonProof                = "proof_"
	reasonTooManyProofs        = "too_many_proofs"
	reasonMissingCertificate   = "missing_certificate"
	reasonWrongCertificate     = "wrong_certificate"
	reasonMalformedCertificate = "malformed_certificate"
)

// unproven refuses a token whose proof is missing or wrong (RFC 8705 §3, RFC 9449 §7.1).
func unproven(reason, description string) *Refusal {
	return &Refusal{Challenge: &oauth.Challenge{
		Status: http.StatusUnauthorized, Code: oauth.CodeInvalidToken, Reason: reason, Description: "the token is refused: " + description,
	}}
}

// presented is a token as a request presents it.
type presented struct {
	raw, scheme string
}

// prove returns the refusal of a token without the proof of a key that it is bound to, nil if the request proves all of them.
// No proof is remembered with the token: each request brings its own. Prove tells the client the nonce for its next proof, if
// there is one.
func (d *Door) prove(w http.ResponseWriter, r *http.Request, p presented, claims *token.Claims) *Refusal {
	bound := claims.Confirmation()
	refused := d.Binding.refuse(p.scheme, bound)
	if refused == nil && bound.X5TS256 != "" {
		refused = d.proveCertificate(r, bound.X5TS256, claims.ClientID)
	}
	if refused == nil && bound.JKT != "" {
		refused = d.proveKey(w, r, p.raw, claims)
	}
	if refused != nil {
		refused.issuer = claims.Issuer
		if bound.JKT != "" {
			refused.Schemes = []string{oauth.SchemeDPoP}
		}
	}
	return refused
}

// refuse refuses a token that is presented in a way that cannot prove it.
func (b *Binding) refuse(scheme string, bound token.Confirmation) *Refusal {
	switch {
	case len(b.Required) > 0 && !b.suffices(waysOf(bound)): // a plain door needs no list
		return b.notBound()
	case bound.JKT != "" && scheme != oauth.SchemeDPoP:
		return unproven(reasonMissingProof, "it is bound to a key of DPoP, and needs the scheme DPoP and a proof")
	case bound.JKT == "" && scheme == oauth.SchemeDPoP:
		return unproven(reasonNotBound, "it is not bound to a key of DPoP, so it needs the scheme Bearer")
	}
	return nil
}

// notBound refuses a token that is not bound in a way that the door requires.
func (b *Binding) notBound() *Refusal {
	return unproven(reasonNotBound, "only tokens that are bound to a key are accepted here: "+strings.Join(b.Required, " or "))
}

// proveCertificate compares the client's certificate with that of the token (RFC 8705 §3).
func (d *Door) proveCertificate(r *http.Request, want, owner string) *Refusal {
	certificate, err := d.certificateOf(r)
	switch {
	case err != nil:
		return &Refusal{cause: err, Challenge: &oauth.Challenge{
			Status: http.StatusBadRequest, Code: oauth.CodeInvalidRequest, Reason: reasonMalformedCertificate, Description: err.Error(),
		}}
	case certificate == nil:
		return unproven(reasonMissingCertificate, "it is bound to a certificate of its client, and the request has none")
	case !d.thumbprints.match(certificate, want, owner):
		return unproven(reasonWrongCertificate, "it is bound to another certificate than that of the request")
	}
	return nil
}

// certificateOf returns the certificate of the client, nil if it has none. The connection of a proxy that asks has that of the
// proxy.
func (d *Door) certificateOf(r *http.Request) (*clientcert.Certificate, error) {
	trusted := d.Host.TrustedProxy(r)
	if d.ForwardAuth != "" && (!trusted || d.Binding.Certificates.Header == "") {
		return nil, nil
	}
	return d.Binding.Certificates.Of(r, trusted)
}

// certificateHeaders are those in which a proxy sends the certificate of a client.
func (b *Binding) certificateHeaders() []string {
	names := []string{clientcert.DefaultHeader, clientcert.ChainHeader}
	if own := textproto.CanonicalMIMEHeaderKey(b.Certificates.Header); own != "" && !slices.Contains(names, own) {
		names = append(names, own)
	}
	return names
}

// stripCertificate removes the certificate that a client claims to have in a header. A trusted proxy may send one.
func (d *Door) stripCertificate(r *http.Request) {
	if d.Host.TrustedProxy(r) {
		httpguard.PinHeaders(r.Header, d.certificateHeaders)
		return
	}
	httpguard.StripIdentityHeaders(r.Header, d.certificateHeaders)
}

// proveKey checks the proof of DPoP in a request (RFC 9449 §7.1). The signature comes last, because it costs most.
func (d *Door) proveKey(w http.ResponseWriter, r *http.Request, raw string, claims *token.Claims) *Refusal {
	if d.Binding.Proofs == nil {
		return unproven(string(token.SenderConstrained), "it is bound to a key of DPoP, and no proof of it is accepted here")
	}
	text, err := dpop.Read(r.Header)
	if err == nil && text == "" {
		return unproven(reasonMissingProof, "it is bound to a key of DPoP, and the request has no proof in its DPoP header")
	}
	var proof *dpop.Proof
	if err == nil {
		asked := d.proven(r, raw)
		if proof, err = d.Binding.Proofs.Open(text, asked); err != nil { // for the log: behind a proxy this may be a surprise
			err = fmt.Errorf("%w; the request is %s %s", err, asked.Method, strings.Join(asked.URLs, " or "))
		}
	}
	if err == nil && proof.KeyID() != claims.Confirmation().JKT {
		return unproven(reasonWrongKey, "it is bound to another key than that of the proof")
	}
	if err == nil {
		err = proof.Use(dpop.Owner(claims.Issuer, claims.ClientID))
	}
	if err != nil {
		return d.refuseProof(w, err)
	}
	if proof.NextNonce != "" {
		w.Header().Set(dpop.NonceHeader, proof.NextNonce)
	}
	return nil
}

// refuseProof refuses a proof (RFC 9449 §7.1 and §9).
func (d *Door) refuseProof(w http.ResponseWriter, err error) *Refusal {
	bad, ok := errors.AsType[*dpop.Error](err)
	if !ok {
		return unavailable(reasonTooManyProofs, "there is no room to remember another proof now", err)
	}
	reason := reasonProof + bad.Reason
	if bad.Code == dpop.CodeUseNonce {
		reason = bad.Code
		w.Header().Set(dpop.NonceHeader, bad.Nonce)
	}
	return &Refusal{cause: err, Challenge: &oauth.Challenge{
		Status: http.StatusUnauthorized, Code: bad.Code, Reason: reason, Description: bad.Description,
	}}
}

// nameSchemes has the challenge for a request name the schemes. A client of this door may know Bearer only, and take the first
// challenge, so DPoP is named where it is needed or was used.
func (d *Door) nameSchemes(refused *Refusal, r *http.Request) {
	if refused.Schemes == nil {
		refused.Schemes = d.schemesFor(r)
	}
	if slices.Contains(refused.Schemes, oauth.SchemeDPoP) {
		refused.ProofAlgs = token.ProofAlgs()
	}
}

func (d *Door) schemesFor(r *http.Request) []string {
	_, scheme, refused := oauth.AccessToken(r)
	switch {
	case d.Binding.onlyDPoP() || refused == nil && scheme == oauth.SchemeDPoP:
		return []string{oauth.SchemeDPoP}
	case slices.Contains(d.Binding.Required, boundDPoP):
		return []string{oauth.SchemeBearer, oauth.SchemeDPoP}
	}
	return nil
}

package issuer

import (
	"context"
	"crypto/x509"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/clientcert"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// Reasons of refusals of certificates.
const (
	// wrongCertificate has neither the name nor a key that the registry lists for the client.
	wrongCertificate = "wrong_certificate"
	// certificateNotVerified has the client's name, but no authority was asked whether it may have it.
	certificateNotVerified = "certificate_not_verified"
	// certificateNotCurrent is not in its validity period.
	certificateNotCurrent = "certificate_not_current"
)

// certificate returns the certificate of the request, nil if it has none.
func (c *call) certificate() (*clientcert.Certificate, *oauth.Error) {
	cert, err := c.issuer.Certificates.Of(c.http, c.issuer.Host.TrustedProxy(c.http))
	if err != nil {
		c.issuer.Logger.Debug("a proxy sends a certificate that cannot be read", zap.Error(err))
		return nil, oauth.InvalidRequest(err.Error())
	}
	return cert, nil
}

// authenticateCertificate finds a client by its certificate (RFC 8705 §2). Such a request has a client_id and nothing else. A
// request without a certificate gets the answer to a request without credentials, so it does not tell what the client has.
func (c *call) authenticateCertificate(ctx context.Context, id string, fault faulty) *oauth.Error {
	cert, oerr := c.certificate()
	bySelf := c.issuer.takes(oauth.SelfSignedTLSClientAuth)
	switch {
	case oerr != nil:
		return oerr
	case cert == nil:
		return oauth.MissingClientAuthentication()
	case !bySelf && !c.issuer.takes(oauth.TLSClientAuth):
		return oauth.UnsupportedClientAuthentication()
	case id == "":
		return oauth.InvalidRequest("client_id is missing; a client that authenticates with a certificate sends it (RFC 8705, section 2)")
	}
	waiting, cancel := context.WithDeadline(ctx, c.start.Add(keyFetchWait))
	defer cancel()
	var proven authenticated
	client, err := c.issuer.Registry.AuthenticateBy(ctx, id, func(client *registry.Client) (reason string) {
		proven, reason = c.proveCertificate(waiting, client, cert)
		return reason
	}, c.start)
	if err != nil {
		if bySelf { // the keys of a client at its jwks_uri may have been fetched
			c.least = keyFetchWait
		}
		return c.refuseOrFail(ctx, id, err, fault)
	}
	proven.client = client
	return c.accept(proven)
}

// proveCertificate compares a certificate with the name and the keys of a client. It compares both in any case, so that the time
// does not tell which of them a client has.
func (c *call) proveCertificate(ctx context.Context, client *registry.Client, cert *clientcert.Certificate) (proven authenticated, reason string) {
	leaf, err := cert.Leaf()
	if err != nil {
		return proven, wrongCertificate
	}
	allows := func(method string) bool { return client.Allows(method) && c.issuer.takes(method) }
	named := isNamed(client, leaf)
	keyID, failed := c.keyOf(ctx, client, leaf)
	switch {
	case !cert.CurrentAt(c.start):
		return proven, certificateNotCurrent
	case named && cert.Verified && allows(oauth.TLSClientAuth):
		return authenticated{method: oauth.TLSClientAuth}, ""
	case keyID != "" && allows(oauth.SelfSignedTLSClientAuth):
		return authenticated{method: oauth.SelfSignedTLSClientAuth, keyID: keyID}, ""
	case failed != nil && allows(oauth.SelfSignedTLSClientAuth):
		c.cause = failed.Error()
		return proven, keysUnavailable
	case named && cert.Verified, keyID != "":
		return proven, otherMethod
	case named:
		return proven, certificateNotVerified
	}
	return proven, wrongCertificate
}

// noSubject takes the place of the name of a client that has none.
var noSubject = clientcert.Subject{SubjectDN: "CN=no client has a name that ends in NUL\\00"}

// isNamed reports whether a certificate has the name that the registry lists for a client.
func isNamed(client *registry.Client, leaf *x509.Certificate) bool {
	subject := clientcert.Subject(client.Certificate)
	if subject.IsZero() {
		subject = noSubject
	}
	matcher, err := clientcert.NewMatcher(subject)
	return err == nil && matcher.Matches(leaf) && subject != noSubject
}

// keyOf returns the thumbprint of a client's key that is the one of a certificate, "" if none is. The key is compared, not the
// certificate: a client can replace a certificate that it has signed itself without a change of the registry. It fails if the
// keys at the client's jwks_uri are not known.
func (c *call) keyOf(ctx context.Context, client *registry.Client, leaf *x509.Certificate) (string, error) {
	thumbprint, err := clientcert.KeyThumbprint(leaf.PublicKey)
	if err != nil {
		return "", nil
	}
	keys, err := c.issuer.keysOf(ctx, client, thumbprint)
	if err != nil || !keys.HasThumbprint(thumbprint) {
		return "", err
	}
	return thumbprint, nil
}

// bindToCertificate binds the token to the certificate that the client has authenticated with, or that its tokens must be bound
// to (RFC 8705 §3).
func (t *tokenRequest) bindToCertificate(context.Context) *oauth.Error {
	byCertificate := t.method == oauth.TLSClientAuth || t.method == oauth.SelfSignedTLSClientAuth
	if !byCertificate && !t.client.CertificateBound {
		return nil
	}
	cert, err := t.certificate()
	switch {
	case err != nil:
		return t.withID(err)
	case cert == nil:
		return t.withID(oauth.InvalidRequest("the tokens of this client are bound to its certificate, and the request has none"))
	case !cert.CurrentAt(t.start):
		return t.withID(oauth.InvalidRequest("the tokens of this client are bound to its certificate, and that of the request is not valid now"))
	}
	t.confirmation.X5TS256 = cert.Thumbprint()
	return nil
}

// TakeCertificates makes the metadata say that clients can present certificates.
func (s *Server) TakeCertificates() { s.takesCertificates.Store(true) }

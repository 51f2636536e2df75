package registry

import "slices"

// The methods of client authentication that a client may be bound to: the values of "auth". Those of RFC 7591 §2 and RFC
// 8705 §2 have their names there.
const (
	ClientSecret  = "client_secret" // in the header or in the body
	PrivateKeyJWT = "private_key_jwt"
	FederatedJWT  = "federated_jwt" // an assertion of a trusted issuer
	SPIFFEJWT     = "spiffe_jwt"    // an assertion that is a JWT-SVID
	TLSClientAuth = "tls_client_auth"
	SelfSignedTLS = "self_signed_tls_client_auth"
)

// Methods are the values of "auth", as messages list them.
var Methods = []string{ClientSecret, PrivateKeyJWT, FederatedJWT, SPIFFEJWT, TLSClientAuth, SelfSignedTLS}

// Allows reports whether the client may authenticate by a method. The two ways to send a secret, client_secret_basic and
// client_secret_post, are both client_secret.
func (c *Client) Allows(method string) bool {
	if method == "client_secret_basic" || method == "client_secret_post" {
		method = ClientSecret
	}
	return c.Auth == "" || c.Auth == method
}

// CredentialsFor reports whether the client has what a method of Methods needs. Secrets that have expired count.
func (c *Client) CredentialsFor(method string) bool {
	switch method {
	case ClientSecret:
		return len(c.Secrets) > 0
	case PrivateKeyJWT, SelfSignedTLS:
		return len(c.Keys) > 0 || c.JWKSURI != ""
	case FederatedJWT:
		return c.hasIdentity(TypeJWT)
	case SPIFFEJWT:
		return c.hasIdentity(TypeSPIFFE)
	case TLSClientAuth:
		return c.Certificate != Certificate{}
	}
	return false
}

// Unused returns the methods for which the client has credentials and which its auth does not allow.
func (c *Client) Unused() (methods []string) {
	for _, method := range Methods {
		alike := c.Auth == PrivateKeyJWT && method == SelfSignedTLS || c.Auth == SelfSignedTLS && method == PrivateKeyJWT // by the same keys
		if !c.Allows(method) && !alike && c.CredentialsFor(method) {
			methods = append(methods, method)
		}
	}
	return methods
}

// Excluded returns the methods for which the client has credentials and which its auth allows, if takes is false for all of them:
// an issuer that takes none of them never authenticates the client.
func (c *Client) Excluded(takes func(method string) bool) (methods []string) {
	for _, method := range Methods {
		switch {
		case !c.Allows(method) || !c.CredentialsFor(method):
		case takes(method):
			return nil
		default:
			methods = append(methods, method)
		}
	}
	return methods
}

func (c *Client) hasIdentity(kind string) bool {
	return slices.ContainsFunc(c.Identities, func(i Identity) bool { return i.kind() == kind })
}

func (d *decoder) auth(n *node) string {
	method := d.text(n, "auth")
	if n.kind == stringKind && !slices.Contains(Methods, method) {
		d.problems.add(n.at, "auth is not a method of client authentication%v", suggestion{method, slices.Values(Methods)})
	}
	return method
}

// needs are what each method needs, for messages. A secret is made after its client.
var needs = map[string]string{
	PrivateKeyJWT: "jwks or jwks_uri",
	SelfSignedTLS: "jwks or jwks_uri",
	FederatedJWT:  "identities of type jwt",
	SPIFFEJWT:     "identities of type jwt-spiffe",
	TLSClientAuth: "a field such as tls_client_auth_subject_dn",
}

// checkCredentials reports fields of a client that contradict each other.
func (d *decoder) checkCredentials(n *node, c *Client) {
	if len(c.Keys) > 0 && c.JWKSURI != "" {
		d.problems.add(n.at, "a client may have jwks or jwks_uri, not both")
	}
	if needed := needs[c.Auth]; needed != "" && !c.CredentialsFor(c.Auth) {
		d.problems.add(n.at, "auth is %s, so the client must have %s", c.Auth, needed)
	}
}

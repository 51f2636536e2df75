// Package oauth is the wire of the authorization server and of the protected resource: it reads
// token requests and bearer tokens, and writes answers, errors, challenges and metadata documents.
// It knows net/http and the RFCs; who a client is and what it may do is decided elsewhere.
//
// The authorization server's side is RFC 6749 §4.4 (the client credentials grant) with §2.3
// (client authentication), RFC 8707 (resource), RFC 7662 (introspection), RFC 7009 (revocation), RFC 8414
// and OpenID Connect Discovery (metadata).
// The protected resource's side is RFC 6750 (bearer tokens) and RFC 9728 (metadata).
package oauth

// The routes of an authorization server, each appended to the issuer's URL.
const (
	// TokenPath is the token endpoint (RFC 6749 §3.2).
	TokenPath = "/oauth2/token"
	// JWKSPath is the document of public keys (RFC 7517 §5).
	JWKSPath = "/oauth2/jwks"
	// IntrospectPath is the introspection endpoint (RFC 7662 §2), and RevokePath the revocation endpoint
	// (RFC 7009 §2).
	IntrospectPath = "/oauth2/introspect"
	RevokePath     = "/oauth2/revoke"
	// RevocationsPath is the feed of what is revoked, for doors elsewhere. No RFC has one.
	RevocationsPath = "/oauth2/revocations"
	// AuthorizePath is the authorization endpoint (RFC 6749 §3.1). OpenID Connect Discovery wants
	// one named; here it refuses every request with UnsupportedResponseType.
	AuthorizePath = "/oauth2/authorize"
)

// GrantClientCredentials is the only grant_type that the token endpoint takes (RFC 6749 §4.4.2).
const GrantClientCredentials = "client_credentials"

// The methods by which a client may authenticate, by their names in the registry of RFC 7591 §2.
const (
	ClientSecretBasic = "client_secret_basic"
	ClientSecretPost  = "client_secret_post"
)

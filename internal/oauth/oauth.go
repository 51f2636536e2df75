// Package oauth implements the wire formats of an authorization server and of a protected resource: it reads token requests
// and bearer tokens, and writes responses, errors, challenges and metadata documents. It does not decide who a client is and
// what it may do. Start with ParseTokenRequest and AccessToken. The package imports only the plain leaves of this module.
//
// For the authorization server it implements RFC 6749 §4.4 (the client credentials grant) with §2.3 (client authentication),
// RFC 7521 and RFC 7523 (assertions, for clients and as grants), RFC 8693 (token exchange), RFC 8707 (resource), RFC 7662 (introspection), RFC 7009 (revocation), and RFC 8414 and OpenID Connect Discovery (metadata).
// For the protected resource it implements RFC 6750 (bearer tokens) and RFC 9728 (metadata).
package oauth

// The routes of an authorization server, each appended to the issuer's URL.
const (
	// TokenPath is the token endpoint (RFC 6749 §3.2).
	TokenPath = "/oauth2/token"
	// JWKSPath serves the public keys (RFC 7517 §5).
	JWKSPath = "/oauth2/jwks"
	// IntrospectPath is the introspection endpoint (RFC 7662 §2), and RevokePath the revocation endpoint
	// (RFC 7009 §2).
	IntrospectPath = "/oauth2/introspect"
	RevokePath     = "/oauth2/revoke"
	// RevocationsPath serves the feed of revocations, for doors elsewhere. It is not in an RFC.
	RevocationsPath = "/oauth2/revocations"
	// AuthorizePath is the authorization endpoint (RFC 6749 §3.1), which OpenID Connect Discovery requires. It refuses every
	// request with UnsupportedResponseType.
	AuthorizePath = "/oauth2/authorize"
)

// The grant types that a token request can have. An issuer may support fewer.
const (
	GrantClientCredentials = "client_credentials"                              // RFC 6749 §4.4.2
	GrantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // RFC 7523 §2.1
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693 §2.1
)

// The methods by which a client may authenticate, by their names in the registry of RFC 7591 §2. FederatedJWT, an assertion of
// an issuer that is trusted for it, and SPIFFEJWT (draft-ietf-oauth-spiffe-client-auth) are not in it.
const (
	ClientSecretBasic       = "client_secret_basic"
	ClientSecretPost        = "client_secret_post"
	PrivateKeyJWT           = "private_key_jwt"
	FederatedJWT            = "federated_jwt"
	SPIFFEJWT               = "spiffe_jwt"
	TLSClientAuth           = "tls_client_auth"
	SelfSignedTLSClientAuth = "self_signed_tls_client_auth"
)

// AuthMethods are all of these.
var AuthMethods = []string{
	ClientSecretBasic, ClientSecretPost, PrivateKeyJWT, FederatedJWT, SPIFFEJWT, TLSClientAuth, SelfSignedTLSClientAuth,
}

// ClientAssertion is the Method of Credentials that have an assertion. Whether that is PrivateKeyJWT, FederatedJWT or
// SPIFFEJWT depends on who has signed it.
const ClientAssertion = "client_assertion"

// The values of client_assertion_type.
const (
	AssertionTypeJWT    = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	AssertionTypeSPIFFE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe" // draft-ietf-oauth-spiffe-client-auth
)

// The types of tokens in a token exchange (RFC 8693 §3).
const (
	TokenTypeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	TokenTypeJWT         = "urn:ietf:params:oauth:token-type:jwt"
	TokenTypeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
)

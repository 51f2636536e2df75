package oauth

import "slices"

// ServerMetadata is the metadata of an authorization server (RFC 8414 §2), with what OpenID Connect Discovery 1.0 §3 requires
// besides. Both documents of an issuer have all of it, because programs that read one apply the schema of the other: the SDKs
// of MCP refuse RFC 8414 metadata without an authorization_endpoint, and the one for Go any without PKCE, also for client
// credentials. The server has no users, no codes and no ID tokens, so the members for them promise nothing that it breaks.
type ServerMetadata struct {
	Issuer                   string   `json:"issuer"`
	AuthorizationEndpoint    string   `json:"authorization_endpoint"`
	TokenEndpoint            string   `json:"token_endpoint"`
	JWKSURI                  string   `json:"jwks_uri"`
	ScopesSupported          []string `json:"scopes_supported,omitempty"`
	ResponseTypesSupported   []string `json:"response_types_supported"` // also if empty: RFC 8414 §2 requires what §3.2 omits
	GrantTypesSupported      []string `json:"grant_types_supported"`
	TokenEndpointAuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	TokenEndpointAuthAlgs    []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`

	IntrospectionEndpoint            string   `json:"introspection_endpoint"`
	IntrospectionEndpointAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionEndpointAuthAlgs    []string `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectionSigningAlgs         []string `json:"introspection_signing_alg_values_supported,omitempty"` // RFC 9701 §7
	RevocationEndpoint               string   `json:"revocation_endpoint"`
	RevocationEndpointAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationEndpointAuthAlgs       []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`

	SubjectTypesSupported        []string `json:"subject_types_supported"`
	IDTokenSigningAlgs           []string `json:"id_token_signing_alg_values_supported"`
	RequestURIParameterSupported bool     `json:"request_uri_parameter_supported"` // its default would be true
	CodeChallengeMethods         []string `json:"code_challenge_methods_supported"`

	// CertificateBound says that a client can have its tokens bound to its certificate (RFC 8705 §3.3).
	CertificateBound bool         `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	MTLSAliases      *MTLSAliases `json:"mtls_endpoint_aliases,omitempty"`
	ProofAlgs        []string     `json:"dpop_signing_alg_values_supported,omitempty"` // RFC 9449 §5.1

	RevocationsURI string `json:"m2m_revocations_uri"` // of this program (RFC 8414 §2 allows more than it names)
}

// MTLSAliases are the endpoints for clients that present a certificate (RFC 8705 §5), as far as they differ from those for
// others.
type MTLSAliases struct {
	TokenEndpoint         string `json:"token_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
}

// mtlsAliases returns the aliases below a base URL, nil if there is none.
func mtlsAliases(base string) *MTLSAliases {
	if base == "" {
		return nil
	}
	return &MTLSAliases{
		TokenEndpoint:         base + TokenPath,
		IntrospectionEndpoint: base + IntrospectPath,
		RevocationEndpoint:    base + RevokePath,
	}
}

// Supported is what the server of an issuer supports.
type Supported struct {
	// Scopes are those of the API.
	Scopes []string
	// SigningAlgs sign tokens, which only OpenID Connect has a member for, and introspection responses.
	SigningAlgs []string
	// GrantTypes are those of the token endpoint.
	GrantTypes []string
	// AuthMethods are the methods by which clients authenticate, at all endpoints.
	AuthMethods []string
	// AuthAlgs are the algorithms of assertions by which clients authenticate.
	AuthAlgs []string
	// Certificates says that clients can present certificates. MTLSURL is where, "" if it is the issuer's URL.
	Certificates bool
	MTLSURL      string
	// ProofAlgs are the algorithms of DPoP proofs.
	ProofAlgs []string
}

// authMethods returns the methods that metadata names. FederatedJWT is PrivateKeyJWT on the wire, and has no name of its own.
func (s Supported) authMethods() []string {
	methods := []string{}
	for _, method := range s.AuthMethods {
		if method == FederatedJWT {
			method = PrivateKeyJWT
		}
		if !slices.Contains(methods, method) {
			methods = append(methods, method)
		}
	}
	return methods
}

// authAlgs returns the algorithms of assertions, which are required if there is such a method (RFC 8414 §2) and else mean nothing.
func (s Supported) authAlgs() []string {
	methods := s.authMethods()
	if !slices.Contains(methods, PrivateKeyJWT) && !slices.Contains(methods, SPIFFEJWT) {
		return nil
	}
	return s.AuthAlgs
}

// NewServerMetadata describes the server of an issuer. CheckIssuer must accept its URL. The authorization endpoint supports
// nothing, so response_types_supported is empty.
func NewServerMetadata(issuer string, s Supported) ServerMetadata {
	methods, algs := s.authMethods(), s.authAlgs()
	return ServerMetadata{
		Issuer:                   issuer,
		AuthorizationEndpoint:    issuer + AuthorizePath,
		TokenEndpoint:            issuer + TokenPath,
		JWKSURI:                  issuer + JWKSPath,
		ScopesSupported:          s.Scopes,
		ResponseTypesSupported:   []string{},
		GrantTypesSupported:      s.GrantTypes,
		TokenEndpointAuthMethods: methods,
		TokenEndpointAuthAlgs:    algs,

		IntrospectionEndpoint:            issuer + IntrospectPath,
		IntrospectionEndpointAuthMethods: methods,
		IntrospectionEndpointAuthAlgs:    algs,
		IntrospectionSigningAlgs:         s.SigningAlgs,
		RevocationEndpoint:               issuer + RevokePath,
		RevocationEndpointAuthMethods:    methods,
		RevocationEndpointAuthAlgs:       algs,

		SubjectTypesSupported: []string{"public"},
		IDTokenSigningAlgs:    s.SigningAlgs,
		CodeChallengeMethods:  []string{"S256"},

		CertificateBound: s.Certificates,
		MTLSAliases:      mtlsAliases(s.MTLSURL),
		ProofAlgs:        s.ProofAlgs,

		RevocationsURI: issuer + RevocationsPath,
	}
}

// ResourceMetadata is the metadata of a protected resource (RFC 9728 §2).
type ResourceMetadata struct {
	Resource               string   `json:"resource"`
	AuthorizationServers   []string `json:"authorization_servers,omitempty"`
	ScopesSupported        []string `json:"scopes_supported,omitempty"`
	BearerMethodsSupported []string `json:"bearer_methods_supported"`
	ResourceBinding
}

// ResourceBinding says how a resource takes tokens that are bound to a key (RFC 9728 §2).
type ResourceBinding struct {
	CertificateBound bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	ProofAlgs        []string `json:"dpop_signing_alg_values_supported,omitempty"`
	DPoPRequired     bool     `json:"dpop_bound_access_tokens_required,omitempty"`
}

// NewResourceMetadata describes a resource that accepts tokens of the issuers, in the Authorization header only.
func NewResourceMetadata(resource string, issuers, scopes []string, binding ResourceBinding) ResourceMetadata {
	return ResourceMetadata{
		Resource:               resource,
		AuthorizationServers:   issuers,
		ScopesSupported:        scopes,
		BearerMethodsSupported: []string{"header"},
		ResourceBinding:        binding,
	}
}

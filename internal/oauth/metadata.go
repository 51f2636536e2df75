package oauth

// ServerMetadata is the metadata of an authorization server (RFC 8414 §2).
type ServerMetadata struct {
	Issuer                   string   `json:"issuer"`
	TokenEndpoint            string   `json:"token_endpoint"`
	JWKSURI                  string   `json:"jwks_uri"`
	ScopesSupported          []string `json:"scopes_supported,omitempty"`
	ResponseTypesSupported   []string `json:"response_types_supported"`
	GrantTypesSupported      []string `json:"grant_types_supported"`
	TokenEndpointAuthMethods []string `json:"token_endpoint_auth_methods_supported"`

	IntrospectionEndpoint            string   `json:"introspection_endpoint"`
	IntrospectionEndpointAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionSigningAlgs         []string `json:"introspection_signing_alg_values_supported,omitempty"` // RFC 9701 §7
	RevocationEndpoint               string   `json:"revocation_endpoint"`
	RevocationEndpointAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`

	RevocationsURI string `json:"m2m_revocations_uri"` // of this program (RFC 8414 §2 allows more than it names)

	signingAlgs []string
}

// OpenIDConfiguration is the metadata in the form of OpenID Connect Discovery 1.0 §3. The server has no users and no ID
// tokens, so the members that OIDC requires say only what is true.
type OpenIDConfiguration struct {
	ServerMetadata
	AuthorizationEndpoint        string   `json:"authorization_endpoint"`
	SubjectTypesSupported        []string `json:"subject_types_supported"`
	IDTokenSigningAlgs           []string `json:"id_token_signing_alg_values_supported"`
	RequestURIParameterSupported bool     `json:"request_uri_parameter_supported"` // its default would be true
}

// NewServerMetadata describes the server of an issuer. CheckIssuer must accept its URL. The scopes are those of the API. The
// signingAlgs sign tokens, which only the form of OpenID Connect states, and introspection responses. The member
// response_types_supported is required. It is empty because the authorization endpoint supports nothing.
func NewServerMetadata(issuer string, scopes, signingAlgs []string) ServerMetadata {
	methods := []string{ClientSecretBasic, ClientSecretPost}
	return ServerMetadata{
		Issuer:                   issuer,
		TokenEndpoint:            issuer + TokenPath,
		JWKSURI:                  issuer + JWKSPath,
		ScopesSupported:          scopes,
		ResponseTypesSupported:   []string{},
		GrantTypesSupported:      []string{GrantClientCredentials},
		TokenEndpointAuthMethods: methods,

		IntrospectionEndpoint:            issuer + IntrospectPath,
		IntrospectionEndpointAuthMethods: methods,
		IntrospectionSigningAlgs:         signingAlgs,
		RevocationEndpoint:               issuer + RevokePath,
		RevocationEndpointAuthMethods:    methods,

		RevocationsURI: issuer + RevocationsPath,

		signingAlgs: signingAlgs,
	}
}

// OpenID returns the metadata in the form of OpenID Connect.
func (m ServerMetadata) OpenID() OpenIDConfiguration {
	return OpenIDConfiguration{
		ServerMetadata:        m,
		AuthorizationEndpoint: m.Issuer + AuthorizePath,
		SubjectTypesSupported: []string{"public"},
		IDTokenSigningAlgs:    m.signingAlgs,
	}
}

// ResourceMetadata is the metadata of a protected resource (RFC 9728 §2).
type ResourceMetadata struct {
	Resource               string   `json:"resource"`
	AuthorizationServers   []string `json:"authorization_servers,omitempty"`
	ScopesSupported        []string `json:"scopes_supported,omitempty"`
	BearerMethodsSupported []string `json:"bearer_methods_supported"`
}

// NewResourceMetadata describes a resource that accepts tokens of the issuers, in the Authorization header only.
func NewResourceMetadata(resource string, issuers, scopes []string) ResourceMetadata {
	return ResourceMetadata{
		Resource:               resource,
		AuthorizationServers:   issuers,
		ScopesSupported:        scopes,
		BearerMethodsSupported: []string{"header"},
	}
}

package oauth

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

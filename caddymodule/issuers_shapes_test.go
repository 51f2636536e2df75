package caddymodule_test

// deployed is an issuer of docs/issuers.md: what it publishes, and a token for the block there. URLs are those of the real one,
// and a fake server stands in for each of their origins.
type deployed struct {
	// documents are by URL. KEYS stands for the key set.
	documents map[string]string
	// keys is the key set, in which JWK stands for the members of the public key, and OTHER for those of another one.
	keys   string
	header map[string]any
	claims map[string]any
	// path is what the token opens, "/" by default, and client is X-Client-Id there.
	path, client string
	// bad are changes of the token, and the reason why each is refused.
	bad map[string]change
	// credential is the Authorization that its documents require, "" for none.
	credential string
}

type change struct {
	header, claims map[string]any
	reason         string
}

const (
	tenant   = "11111111-2222-3333-4444-555555555555"
	entraAPI = "66666666-7777-8888-9999-000000000000"
)

// kid is that of the key that signs.
const kid = "FVnPUFjm8XdJYIIlU7_U0xq2kYk"

var deployedIssuers = map[string]deployed{
	"Keycloak": {
		documents: map[string]string{
			"https://keycloak.example.com/realms/shop/.well-known/openid-configuration": `{"issuer":"https://keycloak.example.com/realms/shop",
				"token_endpoint":"https://keycloak.example.com/realms/shop/protocol/openid-connect/token","jwks_uri":"https://keycloak.example.com/realms/shop/protocol/openid-connect/certs",
				"mtls_endpoint_aliases":{"token_endpoint":"https://keycloak.example.com/realms/shop/protocol/openid-connect/token"}}`,
			"https://keycloak.example.com/realms/shop/protocol/openid-connect/certs": "KEYS",
		},
		// one key pair for both uses, which Keycloak's import of a key makes, and another for encryption
		keys: `{"keys":[{"kid":"KID","kty":"RSA","alg":"RSA-OAEP","use":"enc","x5c":["MIIC"],"x5t":"a","x5t#S256":"b",JWK},
			{"kid":"9Ls","kty":"RSA","alg":"RSA-OAEP","use":"enc","x5c":["MIIC"],OTHER},
			{"kid":"KID","kty":"RSA","alg":"RS256","use":"sig","x5c":["MIIC"],"x5t":"a","x5t#S256":"b",JWK}]}`,
		header: map[string]any{"typ": "JWT"},
		claims: map[string]any{
			"jti": "trrtcc:6a5c8a2e-2fd6-4f52-b7c5-0d1f0f0e3c11", "iss": "https://keycloak.example.com/realms/shop", "aud": []string{"https://api.example.com", "account"},
			"sub": "0b1f9f0a-3c0e-4c58-9a7c-0b8a4c1d2e3f", "typ": "Bearer", "azp": "cart", "acr": "1", "scope": "profile email", "clientHost": "10.0.0.7", "client_id": "cart",
			"realm_access":    map[string]any{"roles": []string{"default-roles-shop", "offline_access", "book:read"}},
			"resource_access": map[string]any{"account": map[string]any{"roles": []string{"manage-account"}}},
		},
		path: "/books", client: "cart",
		bad: map[string]change{
			"without the role": {claims: map[string]any{"realm_access": map[string]any{"roles": []string{"offline_access"}}, "scope": "book:read"}, reason: "insufficient_scope"},
			"without a mapper": {claims: map[string]any{"aud": "account"}, reason: "wrong_audience"},
		},
	},
	"Microsoft Entra ID": {
		documents: map[string]string{
			"https://login.microsoftonline.com/" + tenant + "/v2.0/.well-known/openid-configuration": `{"token_endpoint":"https://login.microsoftonline.com/` + tenant + `/oauth2/v2.0/token",
				"jwks_uri":"https://login.microsoftonline.com/` + tenant + `/discovery/v2.0/keys","issuer":"https://login.microsoftonline.com/` + tenant + `/v2.0","kerberos_endpoint":"https://login.microsoftonline.com/` + tenant + `/kerberos",
				"tenant_region_scope":"EU","cloud_instance_name":"microsoftonline.com"}`,
			"https://login.microsoftonline.com/" + tenant + "/discovery/v2.0/keys": "KEYS",
		},
		keys: `{"keys":[{"kty":"RSA","use":"sig","kid":"other","x5t":"other","x5c":["MIIC"],"cloud_instance_name":"microsoftonline.com","issuer":"https://login.microsoftonline.com/{tenantid}/v2.0",OTHER},
			{"kty":"RSA","use":"sig","kid":"KID","x5t":"KID","x5c":["MIIC"],"cloud_instance_name":"microsoftonline.com","issuer":"https://login.microsoftonline.com/{tenantid}/v2.0",JWK}]}`,
		header: map[string]any{"typ": "JWT"},
		claims: map[string]any{
			"aud": entraAPI, "iss": "https://login.microsoftonline.com/" + tenant + "/v2.0", "aio": "k2RgYGC", "azp": "a1a1a1a1-b2b2-c3c3-d4d4-e5e5e5e5e5e5", "azpacr": "1",
			"oid": "77777777-0000-0000-0000-000000000001", "rh": "1.AS8A", "roles": []string{"book:read"}, "sub": "77777777-0000-0000-0000-000000000001", "tid": tenant, "uti": "Tx3", "ver": "2.0",
		},
		path: "/books", client: "a1a1a1a1-b2b2-c3c3-d4d4-e5e5e5e5e5e5",
		bad: map[string]change{
			"of another tenant": {claims: map[string]any{"iss": "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0"}, reason: "wrong_issuer"},
			"of version 1.0":    {claims: map[string]any{"iss": "https://sts.windows.net/" + tenant + "/", "aud": "api://" + entraAPI}, reason: "wrong_issuer"},
			"for Graph":         {claims: map[string]any{"aud": "00000003-0000-0000-c000-000000000000"}, reason: "wrong_audience"},
		},
	},
	"Microsoft Entra ID 2": {
		documents: map[string]string{
			"https://login.microsoftonline.com/" + tenant + "/.well-known/openid-configuration": `{"token_endpoint":"https://login.microsoftonline.com/` + tenant + `/oauth2/token",
				"jwks_uri":"https://login.microsoftonline.com/common/discovery/keys","issuer":"https://sts.windows.net/` + tenant + `/","microsoft_multi_refresh_token":true}`,
			"https://login.microsoftonline.com/common/discovery/keys": "KEYS",
		},
		keys:   `{"keys":[{"kty":"RSA","use":"sig","kid":"KID","x5t":"KID","x5c":["MIIC"],"issuer":"https://login.microsoftonline.com/{tenantid}/v2.0",JWK}]}`,
		header: map[string]any{"typ": "JWT", "x5t": kid},
		claims: map[string]any{
			"aud": "api://" + entraAPI, "iss": "https://sts.windows.net/" + tenant + "/", "appid": "a1a1a1a1-b2b2-c3c3-d4d4-e5e5e5e5e5e5", "appidacr": "1",
			"idp": "https://sts.windows.net/" + tenant + "/", "oid": "1", "roles": []string{"book:read"}, "sub": "1", "tid": tenant, "uti": "Tx3", "ver": "1.0",
		},
		path: "/books", client: "a1a1a1a1-b2b2-c3c3-d4d4-e5e5e5e5e5e5",
		bad: map[string]change{
			"without the slash": {claims: map[string]any{"iss": "https://sts.windows.net/" + tenant}, reason: "wrong_issuer"},
		},
	},
	"Auth0": {
		documents: map[string]string{
			"https://example.eu.auth0.com/.well-known/openid-configuration": `{"issuer":"https://example.eu.auth0.com/","token_endpoint":"https://example.eu.auth0.com/oauth/token",
				"device_authorization_endpoint":"https://example.eu.auth0.com/oauth/device/code","jwks_uri":"https://example.eu.auth0.com/.well-known/jwks.json"}`,
			"https://example.eu.auth0.com/.well-known/jwks.json": "KEYS",
		},
		keys:   `{"keys":[{"kty":"RSA","use":"sig","kid":"KID","x5t":"x","x5c":["MIID"],"alg":"RS256",JWK},{"kty":"RSA","use":"sig","kid":"next","x5t":"y","x5c":["MIID"],"alg":"RS256",OTHER}]}`,
		header: map[string]any{"typ": "JWT"},
		claims: map[string]any{
			"iss": "https://example.eu.auth0.com/", "sub": "bmK9pXKoJZbN5EPhbS8E0pEJbVq4n8@clients", "aud": "https://api.example.com", "scope": "read:books write:books",
			"gty": "client-credentials", "azp": "bmK9pXKoJZbN5EPhbS8E0pEJbVq4n8", "permissions": []string{"read:books"},
		},
		path: "/books", client: "bmK9pXKoJZbN5EPhbS8E0pEJbVq4n8",
		bad: map[string]change{
			"an ID token": {claims: map[string]any{"aud": "bmK9pXKoJZbN5EPhbS8E0pEJbVq4n8", "azp": nil}, reason: "bad_claims"},
		},
	},
	"Okta": {
		documents: map[string]string{
			"https://example.okta.com/oauth2/default/.well-known/openid-configuration": `{"issuer":"https://example.okta.com/oauth2/default","token_endpoint":"https://example.okta.com/oauth2/default/v1/token",
				"jwks_uri":"https://example.okta.com/oauth2/default/v1/keys","scopes_supported":["openid"]}`,
			"https://example.okta.com/oauth2/default/v1/keys": "KEYS",
		},
		keys:   `{"keys":[{"kty":"RSA","alg":"RS256","kid":"KID","use":"sig",JWK}]}`,
		header: map[string]any{"typ": nil},
		claims: map[string]any{
			"ver": 1, "jti": "AT.MNAoEQ_jbKqoinrQo1D0XKjMX28U5d7ZszBceot7-Ts", "iss": "https://example.okta.com/oauth2/default", "aud": "api://default", "cid": "0oa1example2client3",
			"scp": []string{"book:read"}, "sub": "0oa1example2client3",
		},
		path: "/books", client: "0oa1example2client3",
		bad: map[string]change{
			"an ID token":         {claims: map[string]any{"aud": "0oa1example2client3", "cid": nil, "scp": nil}, reason: "bad_claims"},
			"of the organization": {claims: map[string]any{"iss": "https://example.okta.com", "aud": "https://example.okta.com"}, reason: "wrong_issuer"},
		},
	},
	"Amazon Cognito": {
		documents: map[string]string{
			"https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E/.well-known/openid-configuration": `{"issuer":"https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E",
				"jwks_uri":"https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E/.well-known/jwks.json","token_endpoint":"https://shop.auth.eu-central-1.amazoncognito.com/oauth2/token"}`,
			"https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E/.well-known/jwks.json": "KEYS",
		},
		keys:   `{"keys":[{"alg":"RS256","kid":"id tokens","kty":"RSA","use":"sig",OTHER},{"alg":"RS256","kid":"KID","kty":"RSA","use":"sig",JWK}]}`,
		header: map[string]any{"typ": nil},
		claims: map[string]any{
			"sub": "1example23456789", "token_use": "access", "scope": "books/read", "auth_time": 1700000000, "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E",
			"version": 2, "jti": "0b1f9f0a-3c0e-4c58-9a7c-0b8a4c1d2e3f", "client_id": "1example23456789",
		},
		client: "1example23456789",
		bad: map[string]change{
			"of another client": {claims: map[string]any{"client_id": "other", "sub": "other"}, reason: "wrong_client"},
			"without the scope": {claims: map[string]any{"scope": "books/write"}, reason: "denied_by_policy"},
			"without any scope": {claims: map[string]any{"scope": nil}, reason: "denied_by_policy"},
			"an ID token":       {claims: map[string]any{"token_use": "id", "aud": "1example23456789", "client_id": nil}, reason: "bad_claims"},
		},
	},
	"Google": {
		documents: map[string]string{
			"https://accounts.google.com/.well-known/openid-configuration": `{"issuer":"https://accounts.google.com","token_endpoint":"https://oauth2.googleapis.com/token","jwks_uri":"https://www.googleapis.com/oauth2/v3/certs"}`,
			"https://www.googleapis.com/oauth2/v3/certs":                   "KEYS",
		},
		keys:   `{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"KID",JWK},{"kid":"other","use":"sig","kty":"RSA","alg":"RS256",OTHER}]}`,
		header: map[string]any{"typ": "JWT"},
		claims: map[string]any{
			"aud": "https://api.example.com", "azp": "107517467455664443765", "email": "cart@example.iam.gserviceaccount.com", "email_verified": true, "iss": "https://accounts.google.com", "sub": "107517467455664443765",
		},
		client: "107517467455664443765",
		bad: map[string]change{
			"of a stranger with the same audience": {claims: map[string]any{"azp": "1", "sub": "1"}, reason: "wrong_client"},
		},
	},
	"GitHub Actions": {
		documents: map[string]string{
			"https://token.actions.githubusercontent.com/.well-known/openid-configuration": `{"issuer":"https://token.actions.githubusercontent.com","jwks_uri":"https://token.actions.githubusercontent.com/.well-known/jwks",
				"subject_types_supported":["public","pairwise"],"response_types_supported":["id_token"],"claims_supported":["sub","aud"],"id_token_signing_alg_values_supported":["RS256"],"scopes_supported":["openid"]}`,
			"https://token.actions.githubusercontent.com/.well-known/jwks": "KEYS",
		},
		keys:   `{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"other","x5c":["MIID"],"x5t":"z",OTHER},{"kty":"RSA","alg":"RS256","use":"sig","kid":"KID","x5c":["MIID"],"x5t":"KID",JWK}]}`,
		header: map[string]any{"typ": "JWT", "x5t": kid},
		claims: map[string]any{
			"jti": "6a5c8a2e-2fd6-4f52-b7c5-0d1f0f0e3c11", "sub": "repo:example-org/example-repo:environment:production", "aud": "https://api.example.com", "ref": "refs/heads/main",
			"repository": "example-org/example-repo", "repository_owner": "example-org", "workflow": "deploy", "event_name": "push", "run_attempt": "2", "environment": "production",
			"job_workflow_ref": "example-org/example-repo/.github/workflows/deploy.yml@refs/heads/main", "iss": "https://token.actions.githubusercontent.com", "nbf": 1700000000,
		},
		client: "repo:example-org/example-repo:environment:production",
		bad: map[string]change{
			"of another repository":  {claims: map[string]any{"sub": "repo:other/repo:environment:production"}, reason: "wrong_client"},
			"of another environment": {claims: map[string]any{"sub": "repo:example-org/example-repo:pull_request"}, reason: "wrong_client"},
			"for another service":    {claims: map[string]any{"aud": "sts.amazonaws.com"}, reason: "wrong_audience"},
		},
	},
	"Kubernetes": {
		documents: map[string]string{"https://kubernetes.default.svc/openid/v1/jwks": "KEYS"},
		keys:      `{"keys":[{"use":"sig","kty":"RSA","kid":"KID","alg":"RS256",JWK}]}`,
		header:    map[string]any{"typ": nil},
		claims: map[string]any{
			"aud": []string{"https://api.example.com"}, "iss": "https://kubernetes.default.svc.cluster.local", "nbf": 1700000000, "sub": "system:serviceaccount:shop:cart",
			"kubernetes.io": map[string]any{"namespace": "shop", "pod": map[string]any{"name": "cart-7d9", "uid": "1"}, "serviceaccount": map[string]any{"name": "cart", "uid": "2"}, "warnafter": 1700003607},
		},
		client: "system:serviceaccount:shop:cart", credential: "Bearer of-the-pod",
		bad: map[string]change{
			"of another service account": {claims: map[string]any{"sub": "system:serviceaccount:kube-system:default"}, reason: "wrong_client"},
			"for the API server":         {claims: map[string]any{"aud": []string{"https://kubernetes.default.svc.cluster.local"}}, reason: "wrong_audience"},
		},
	},
	"SAP XSUAA": {
		documents: map[string]string{
			"https://shop.authentication.eu10.hana.ondemand.com/oauth/token/.well-known/openid-configuration": `{"issuer":"https://shop.authentication.eu10.hana.ondemand.com/oauth/token",
				"token_endpoint":"https://shop.authentication.eu10.hana.ondemand.com/oauth/token","jwks_uri":"https://shop.authentication.eu10.hana.ondemand.com/token_keys"}`,
			"https://shop.authentication.eu10.hana.ondemand.com/token_keys": "KEYS",
		},
		keys:   `{"keys":[{"kty":"RSA","use":"sig","kid":"KID","alg":"RS256","value":"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",JWK}]}`,
		header: map[string]any{"typ": "JWT", "jku": "https://shop.authentication.eu10.hana.ondemand.com/token_keys", "jid": "x"},
		claims: map[string]any{
			"jti": "0c7f0a8c5d4f4f3b9f0d", "ext_attr": map[string]any{"enhancer": "XSUAA", "subaccountid": tenant, "zdn": "shop"}, "sub": "sb-cart!t123", "authorities": []string{"uaa.resource"},
			"scope": []string{"bookshop!t123.Read", "uaa.resource"}, "client_id": "sb-cart!t123", "cid": "sb-cart!t123", "azp": "sb-cart!t123", "grant_type": "client_credentials", "rev_sig": "6b7c",
			"iss": "https://shop.authentication.eu10.hana.ondemand.com/oauth/token", "zid": tenant, "aud": []string{"bookshop!t123", "uaa", "sb-cart!t123"},
		},
		client: "sb-cart!t123",
		bad: map[string]change{
			"with its key in the header": {header: map[string]any{"jwk": map[string]any{"kty": "RSA"}}, reason: "unsupported"},
			"of another application":     {claims: map[string]any{"aud": []string{"uaa"}}, reason: "wrong_audience"},
			"without the scope":          {claims: map[string]any{"scope": []string{"uaa.resource"}}, reason: "denied_by_policy"},
			"without any scope":          {claims: map[string]any{"scope": nil}, reason: "denied_by_policy"},
		},
	},
}

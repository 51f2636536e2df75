package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// credentialFlags are the fields of a client that say how it authenticates, apart from secrets.
type credentialFlags struct {
	auth, jwks, jwksURI string
	identities          []string
	certificate         [5]string
	certificateBound    bool
	dpopBound           bool
}

// certificateFlags are the fields of a client's certificate, of which a client has at most one.
var certificateFlags = [5][2]string{
	{"tls_client_auth_subject_dn", "subject of its certificate (RFC 4514), such as CN=books,O=Example"},
	{"tls_client_auth_san_dns", "host name in its certificate"},
	{"tls_client_auth_san_uri", "URI in its certificate"},
	{"tls_client_auth_san_ip", "IP address in its certificate"},
	{"tls_client_auth_san_email", "mail address in its certificate"},
}

func (f *credentialFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.auth, "auth", "", "the only method by which it may authenticate, such as private_key_jwt")
	flags.StringVar(&f.jwks, "jwks", "", "file with a JWK Set of its public keys, which replaces its keys")
	flags.StringVar(&f.jwksURI, "jwks-uri", "", "URL of the JWK Set of its public keys")
	flags.StringArrayVar(&f.identities, "identity", nil, `identity at another issuer that may act as it, as "<issuer> <subject>", where a subject with "*" is a pattern, or as JSON; may be repeated`)
	for i, flag := range certificateFlags {
		flags.StringVar(&f.certificate[i], flagName(flag[0]), "", flag[1])
	}
	flags.BoolVar(&f.certificateBound, "certificate-bound", false, "bind its tokens to its certificate")
	flags.BoolVar(&f.dpopBound, "dpop-bound", false, "bind its tokens to the key of a DPoP proof")
}

func flagName(field string) string { return strings.ReplaceAll(field, "_", "-") }

// hasOtherCredential reports whether the flags have a credential other than a secret.
func (f *credentialFlags) hasOtherCredential() bool {
	return f.jwks != "" || f.jwksURI != "" || len(f.identities) > 0 || f.certificate != [5]string{}
}

// set sets the given fields, as the API takes them.
func (f *credentialFlags) set(cmd *cobra.Command, fields map[string]any) error {
	for i, flag := range certificateFlags {
		if cmd.Flags().Changed(flagName(flag[0])) {
			fields[flag[0]] = f.certificate[i]
		}
	}
	for flag, value := range map[string]any{"auth": f.auth, "jwks-uri": f.jwksURI} {
		if cmd.Flags().Changed(flag) {
			fields[strings.ReplaceAll(flag, "-", "_")] = value
		}
	}
	if cmd.Flags().Changed("certificate-bound") {
		fields["tls_client_certificate_bound_access_tokens"] = f.certificateBound
	}
	if cmd.Flags().Changed("dpop-bound") {
		fields["dpop_bound_access_tokens"] = f.dpopBound
	}
	if f.jwks != "" {
		data, err := os.ReadFile(f.jwks)
		if err != nil {
			return err
		}
		if !json.Valid(data) {
			return api.Invalid("%s is not a JWK Set", f.jwks)
		}
		fields["jwks"] = json.RawMessage(data)
	}
	var identities []json.RawMessage
	for _, text := range f.identities {
		identity, err := identityOf(text)
		if err != nil {
			return err
		}
		identities = append(identities, identity)
	}
	if identities != nil {
		fields["identities"] = identities
	}
	return nil
}

// identityOf returns the JSON of an identity from a flag.
func identityOf(text string) (json.RawMessage, error) {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text), nil
	}
	issuer, subject, ok := strings.Cut(text, " ")
	if subject = strings.TrimSpace(subject); !ok || subject == "" {
		return nil, api.Invalid("--identity %q is neither \"<issuer> <subject>\" nor JSON", text)
	}
	field, identity := "subject", map[string]string{"issuer": issuer}
	if strings.Contains(subject, "*") {
		field = "subject_pattern"
	}
	if identity[field] = subject; strings.HasPrefix(subject, "spiffe://") {
		identity["type"] = "jwt-spiffe"
	}
	data, err := json.Marshal(identity)
	if err != nil {
		return nil, fmt.Errorf("encoding an identity: %w", err)
	}
	return data, nil
}

package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// proofFlags are the flags of `caddy m2m proof`.
type proofFlags struct{ keyFile, tokenFile, nonce string }

func proofCommand() *cobra.Command {
	var flags proofFlags
	cmd := &cobra.Command{
		Use:   "proof --key <file> [flags] <method> <url> < token",
		Short: "Makes the DPoP proof for a request with a token",
		Long: `
Reads a token from standard input or --token-file, and prints the value of the header
DPoP for one request with it (RFC 9449). The key is that of caddy m2m token --dpop. The
URL is the one that the request has, without its query.

A proof is for one request and for a minute. If the server answers use_dpop_nonce,
make another one with --nonce and the value of DPoP-Nonce in the answer.`,
		Example: `  $ curl https://api.example.com/books -H "Authorization: DPoP $(cat token)" \
      -H "DPoP: $(caddy m2m proof --key dpop.pem --token-file token GET https://api.example.com/books)"`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			proof, err := flags.proof(cmd.InOrStdin(), args[0], args[1])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), proof)
			return err
		},
	}
	cmd.Flags().StringVar(&flags.keyFile, "key", "", "file that contains the private key that the token is bound to (required)")
	cmd.Flags().StringVar(&flags.tokenFile, "token-file", "", "file that contains the token (default: standard input)")
	cmd.Flags().StringVar(&flags.nonce, "nonce", "", "nonce of the server")
	_ = cmd.MarkFlagRequired("key") // fails only for a flag that is not there
	return cmd
}

func (f *proofFlags) proof(in io.Reader, method, target string) (string, error) {
	if u, err := url.Parse(target); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", api.Invalid("%q is not an http or https URL", printable(target))
	}
	key, err := readPrivateKey(f.keyFile)
	if err != nil {
		return "", err
	}
	raw, err := tokenFrom(f.tokenFile, in)
	if err != nil {
		return "", err
	}
	if _, err := token.Decode(raw); err != nil { // such as that of an empty file
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return signProof(key, token.Proof{Method: method, URL: target, TokenHash: dpop.TokenHash(raw), Nonce: f.nonce})
}

// signProof signs a proof for now.
func signProof(key *token.ClientKey, p token.Proof) (string, error) {
	p.URL, _, _ = strings.Cut(p.URL, "#")
	p.URL, _, _ = strings.Cut(p.URL, "?") // RFC 9449 §4.2
	p.ID, p.IssuedAt = token.NewID(), time.Now()
	return key.SignProof(p)
}

// tokenFrom reads a token from a file or, if that is "", from standard input.
func tokenFrom(file string, in io.Reader) (string, error) {
	if file != "" {
		content, err := os.ReadFile(file)
		return strings.TrimSpace(string(content)), err
	}
	content, err := io.ReadAll(io.LimitReader(in, 1<<20))
	return strings.TrimSpace(string(content)), err
}

// prover adds a DPoP proof to each request to an endpoint, with the nonce that the server gave last.
type prover struct {
	next     http.RoundTripper
	key      *token.ClientKey
	endpoint string
	nonce    string
}

func newProver(next http.RoundTripper, keyFile, endpoint string) (*prover, error) {
	key, err := readPrivateKey(keyFile)
	return &prover{next: next, key: key, endpoint: endpoint}, err
}

// RoundTrip implements http.RoundTripper. Requests come one after the other.
func (p *prover) RoundTrip(r *http.Request) (*http.Response, error) {
	proof, err := signProof(p.key, token.Proof{Method: r.Method, URL: p.endpoint, Nonce: p.nonce})
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set(dpop.Header, proof)
	answer, err := p.next.RoundTrip(r)
	if err == nil && answer.Header.Get(dpop.NonceHeader) != "" {
		p.nonce = answer.Header.Get(dpop.NonceHeader)
	}
	return answer, err
}

// needsNonce reports whether an issuer asks for the nonce of its answer (RFC 9449 §8).
func needsNonce(err error) bool {
	var refused *oauth2.RetrieveError
	return errors.As(err, &refused) && refused.ErrorCode == dpop.CodeUseNonce
}

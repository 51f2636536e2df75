package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// commandTimeout limits the time that a command uses the network.
const commandTimeout = 30 * time.Second

// tokenFlags are the flags of `caddy m2m token`.
type tokenFlags struct {
	issuer, idFile, secretFile, envFile, keyFile, proofKeyFile string
	resources, tokenOrigins                                    []string
}

func tokenCommand() *cobra.Command {
	var flags tokenFlags
	cmd := &cobra.Command{
		Use:   "token --issuer <url> [flags] <scope>...",
		Short: "Asks an issuer for a token",
		Long: `
Finds the issuer's token endpoint by discovery, asks it for a token with the
given scopes, and prints the token to standard output. The granted and rejected
scopes go to standard error.

The secret is sent only to the issuer's own origin, and never after a redirect.
If the token endpoint is on another origin, name that one with --token-origin.

The client's ID and secret are read from --client-id-file and
--client-secret-file, or else from CLIENT_ID and CLIENT_SECRET in --envfile or
the environment.

With --key, the client signs an assertion with its private key (private_key_jwt)
instead of sending a secret. The file is PEM or a JWK.

With --dpop, the token is bound to a key (DPoP). It can be the key of --key, or any
other. Each request with the token needs a proof of the key: see caddy m2m proof.`,
		Example: `  $ caddy m2m token --issuer https://auth.example.com 'book:*:read'
  $ caddy m2m token --issuer https://auth.example.com --key ci-bot.key 'book:*:read'
  $ caddy m2m token --issuer https://auth.example.com --dpop dpop.pem 'book:*:read' > token
  $ caddy m2m token --issuer http://localhost:8080 --envfile examples/gateway/demo.env book:read book:edit`,
		RunE: func(cmd *cobra.Command, scopes []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), commandTimeout)
			defer cancel()
			return flags.run(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), scopes)
		},
	}
	cmd.Flags().StringVar(&flags.issuer, "issuer", "", "URL of the issuer (required)")
	cmd.Flags().StringVar(&flags.idFile, "client-id-file", "", "file that contains the client's ID")
	cmd.Flags().StringVar(&flags.secretFile, "client-secret-file", "", "file that contains the client's secret")
	cmd.Flags().StringVar(&flags.envFile, "envfile", "", "file of NAME=value lines with CLIENT_ID and CLIENT_SECRET")
	cmd.Flags().StringVar(&flags.keyFile, "key", "", "file that contains the client's private key, to use instead of a secret")
	cmd.Flags().StringVar(&flags.proofKeyFile, "dpop", "", "file that contains the private key to bind the token to")
	cmd.Flags().StringArrayVar(&flags.resources, "resource", nil, "audience to get the token for (RFC 8707); may be repeated")
	cmd.Flags().StringArrayVar(&flags.tokenOrigins, "token-origin", nil, "origin, besides the issuer's own, that may receive the secret; may be repeated")
	_ = cmd.MarkFlagRequired("issuer") // fails only for a flag that is not there
	return cmd
}

func (f *tokenFlags) run(ctx context.Context, out, log io.Writer, scopes []string) error {
	id, secret, err := f.credentials()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: fetch.Transport(nil), CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("the token endpoint redirects, and the secret is not sent on")
	}}
	endpoint, err := f.endpoint(ctx, client)
	if err != nil {
		return err
	}
	if f.proofKeyFile != "" {
		if client.Transport, err = newProver(client.Transport, f.proofKeyFile, endpoint); err != nil {
			return err
		}
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, client)
	config := clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: endpoint, Scopes: scopes}
	issued, err := f.ask(ctx, config)
	if needsNonce(err) { // which the prover has now
		issued, err = f.ask(ctx, config)
	}
	if err != nil {
		return explainTokenError(err, secret)
	}
	if f.proofKeyFile != "" && !strings.EqualFold(issued.TokenType, dpop.Scheme) {
		return errors.New("asking for a token: the issuer ignored the DPoP proof, and its token is bound to no key")
	}
	if printable(issued.AccessToken) != issued.AccessToken {
		return errors.New("asking for a token: the issuer's access_token has unprintable characters, so it is not a token")
	}
	fmt.Fprintf(log, "granted:  %s\nrejected: %s\nexpires:  in %s\n",
		textOr(issued.Extra("scope"), "unknown"), textOr(issued.Extra("rejected_scope"), "nothing"),
		time.Until(issued.Expiry).Round(time.Second))
	_, err = fmt.Fprintln(out, issued.AccessToken)
	return err
}

// ask asks for a token. An assertion is new each time, because it can be used once.
func (f *tokenFlags) ask(ctx context.Context, config clientcredentials.Config) (*oauth2.Token, error) {
	config.EndpointParams, config.AuthStyle = url.Values{"resource": f.resources}, oauth2.AuthStyleInHeader
	if f.keyFile != "" {
		config.AuthStyle = oauth2.AuthStyleInParams
		assertion, err := f.assertion(config.ClientID)
		if err != nil {
			return nil, err
		}
		maps.Copy(config.EndpointParams, assertion)
	}
	return config.Token(ctx)
}

// endpoint finds the token endpoint by discovery. It fails if the endpoint's origin is neither the issuer's own nor a
// named one, because the secret is sent there.
func (f *tokenFlags) endpoint(ctx context.Context, client *http.Client) (string, error) {
	for _, origin := range f.tokenOrigins {
		if err := discovery.CheckOrigin(origin, f.issuer); err != nil {
			return "", fmt.Errorf("--token-origin %w", err)
		}
	}
	metadata, err := discovery.Fetch(ctx, client, f.issuer)
	if err != nil {
		return "", fmt.Errorf("discovering the issuer: %w", err)
	}
	if metadata.TokenEndpoint == "" {
		return "", errors.New("the issuer's metadata names no token_endpoint")
	}
	if err := discovery.CheckEndpointOrigin(metadata.TokenEndpoint, f.issuer, f.tokenOrigins); err != nil {
		return "", fmt.Errorf("the issuer's token_endpoint %w; if it may get the secret, name it in --token-origin", err)
	}
	return metadata.TokenEndpoint, nil
}

// credentials are the client's ID and, without a key, its secret, from files or the environment.
func (f *tokenFlags) credentials() (id, secret string, err error) {
	env, err := readEnvFile(f.envFile)
	if err != nil {
		return "", "", err
	}
	if id, err = fileOrEnv(f.idFile, env, "CLIENT_ID"); err != nil {
		return "", "", err
	}
	if f.keyFile != "" {
		return id, "", f.checkKey()
	}
	secret, err = fileOrEnv(f.secretFile, env, "CLIENT_SECRET")
	return id, secret, err
}

func fileOrEnv(path string, env map[string]string, name string) (string, error) {
	if path != "" {
		content, err := os.ReadFile(path)
		return strings.TrimSpace(string(content)), err
	}
	if value := cmp.Or(env[name], os.Getenv(name)); value != "" {
		return value, nil
	}
	flag := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return "", fmt.Errorf("%s is not set; give --%s-file, --envfile or the environment variable", name, flag)
}

// readEnvFile reads NAME=value lines, with optional quotes, `export` and # comments.
func readEnvFile(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	env := make(map[string]string)
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimPrefix(strings.TrimSpace(lines.Text()), "export ")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("%s:%d: not NAME=value", path, n)
		}
		env[strings.TrimSpace(name)] = envValue(strings.TrimSpace(value))
	}
	return env, lines.Err()
}

// envValue is a value as a shell reads it: the text in quotes, or up to a comment.
func envValue(text string) string {
	for _, quote := range []string{`"`, "'"} {
		if inner, quoted := strings.CutPrefix(text, quote); quoted {
			inner, _, _ = strings.Cut(inner, quote)
			return inner
		}
	}
	text, _, _ = strings.Cut(text, " #")
	return strings.TrimSpace(text)
}

// explainTokenError is the error of the issuer, with the rejected scopes and whether the secret is mistyped.
func explainTokenError(err error, secret string) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.ErrorCode == "" {
		return fmt.Errorf("asking for a token: %s", printableLines(err.Error()))
	}
	message := fmt.Sprintf("the issuer answered %s: %s", printable(refused.ErrorCode), printable(refused.ErrorDescription))
	var body struct {
		Rejected string `json:"rejected_scope"`
	}
	if json.Unmarshal(refused.Body, &body) == nil && body.Rejected != "" {
		message += "\nrejected: " + printable(body.Rejected)
	}
	if refused.ErrorCode == "invalid_client" && strings.HasPrefix(secret, "m2m_") {
		if typo := registry.CheckSecret(secret); typo != nil {
			message += "\n" + typo.Error()
		}
	}
	return errors.New(message)
}

// textOr is a text from the issuer, made printable.
func textOr(value any, otherwise string) string {
	if text, ok := value.(string); ok && text != "" {
		return printable(text)
	}
	return otherwise
}

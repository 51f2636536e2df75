package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// explainFlags are the flags of `caddy m2m explain`.
type explainFlags struct {
	request, remoteIP, at string
	assertion, clientID   string
	subject               string // a file
	headers, resources    []string
	door                  int
	trace                 bool

	// without a server
	offline Offline
}

func (h *Host) explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain <client> [<scope>...] [flags]",
		Short: "Shows what a client would be granted, and which rules decide",
		Long: `
Decides a token request of the client as the server would now. For each scope it
names the rules that grant, reject or observe it, with file and line, and the
client's grants that matter. No token is issued. Without a scope, it explains the
policy's default scopes.

With --subject-token, it is a token exchange: the client presents a token of this
issuer. Its claims are taken as they are.

With --assertion, the client is the one that an assertion of a trusted issuer may
act as. The command verifies the assertion and shows its claims, the clients that
the registry and the policy name, and what the client would be granted.

With --request, each m2m_auth of the config also judges a request with that token.

With --registry no server is asked: the registry file and the policy of --policy
decide, together with the shipped rules unless there is --defaults-off.

The exit code is 0 if every scope is granted and the request is let through, 2 if
not, 3 if the client does not exist, and 5 if the command line is wrong.`,
		Example: `  $ caddy m2m explain ci-bot book:1:read book:1:edit
  $ caddy m2m explain ci-bot 'book:*:edit' --request 'PUT https://api.example.com/books/1'
  $ caddy m2m explain --assertion token.jwt book:1:read
  $ caddy m2m explain ci-bot book:1:read --registry registry.yaml --policy policy/`,
		Args: func(cmd *cobra.Command, args []string) error {
			if f.assertion != "" { // all are scopes
				return nil
			}
			return cobra.MinimumNArgs(1)(cmd, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.request, "request", "", "method and URL of a request to judge")
	flags.StringArrayVar(&f.headers, "header", nil, "header of that request, such as 'X-Tenant: a'; may be repeated")
	flags.IntVar(&f.door, "door", -1, "number of the only m2m_auth to ask (default: each that accepts the issuer's tokens)")
	flags.StringVar(&f.assertion, "assertion", "", "file with an assertion of a trusted issuer, - for standard input; all arguments are scopes")
	flags.StringVar(&f.subject, "subject-token", "", "file with the subject token of a token exchange, or its claims as JSON; - for standard input")
	flags.StringVar(&f.clientID, "client-id", "", "with --assertion: client_id of the request")
	flags.StringVar(&f.remoteIP, "remote-ip", "", "address that the client asks from")
	flags.StringArrayVar(&f.resources, "resource", nil, "audience to request for the token (RFC 8707); may be repeated")
	flags.StringVar(&f.at, "time", "", "decide as of this time, such as 2030-01-01T09:00:00Z (default: now)")
	flags.BoolVar(&f.trace, "trace", false, "print the whole evaluation")
	flags.StringVar(&f.offline.Registry, "registry", "", "registry file, instead of a running server")
	flags.StringArrayVar(&f.offline.Policy, "policy", nil, "with --registry: folder or file of the policy; may be repeated")
	flags.BoolVar(&f.offline.DefaultsOff, "defaults-off", false, "with --registry: leave out the shipped rules")
	flags.StringVar(&f.offline.Audience, "audience", "", "with --registry: the issuer's audience (default: its URL)")
	return h.administer(cmd, func(s *session, args []string) error {
		asked, err := f.asked(s, args)
		if err != nil {
			return err
		}
		explained, err := f.explain(h, s, asked)
		if err != nil {
			return err
		}
		if err := s.print(explained, func() { s.printExplanation(explained) }); err != nil || explained.Passes {
			return err
		}
		return errDifferent
	})
}

// asked is the request that the flags describe.
func (f *explainFlags) asked(s *session, args []string) (api.ExplainRequest, error) {
	asked := api.ExplainRequest{RemoteIP: f.remoteIP, Audience: f.resources, Trace: f.trace}
	var err error
	switch {
	case f.assertion != "":
		asked.Client, asked.Scopes = f.clientID, args
		if asked.Assertion, err = readToken(s, "--assertion", f.assertion); err != nil {
			return asked, err
		}
	case f.clientID != "":
		return asked, api.Invalid("--client-id requires --assertion")
	default:
		asked.Client, asked.Scopes = args[0], args[1:]
	}
	if f.subject != "" {
		if asked.Subject, err = readSubject(s, f.subject); err != nil {
			return asked, err
		}
	}
	if f.at != "" {
		if asked.Time, err = time.Parse(time.RFC3339, f.at); err != nil {
			return asked, api.Invalid("--time %q is not like 2030-01-01T09:00:00Z", f.at)
		}
	}
	if f.request == "" {
		if len(f.headers) > 0 || f.door >= 0 {
			return asked, api.Invalid("--header and --door require --request")
		}
		return asked, nil
	}
	method, target, found := strings.Cut(strings.TrimSpace(f.request), " ")
	if !found {
		return asked, api.Invalid("--request is a method and a URL, such as 'GET https://api.example.com/books/1'")
	}
	asked.Request = &api.ProxiedRequest{Method: method, URL: strings.TrimSpace(target), Headers: make(map[string]string)}
	for _, header := range f.headers {
		name, value, found := strings.Cut(header, ":")
		if !found {
			return asked, api.Invalid("--header %q has no colon", header)
		}
		asked.Request.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if f.door >= 0 {
		asked.Request.Door = &f.door
	}
	return asked, nil
}

// readSubject reads the claims of a subject token, which is a JWT or already its claims. The token itself is not sent.
func readSubject(s *session, name string) (json.RawMessage, error) {
	text, err := readToken(s, "--subject-token", name)
	if err != nil || strings.HasPrefix(text, "{") {
		return json.RawMessage(text), err
	}
	decoded, err := token.Decode(text)
	if err != nil {
		return nil, api.Invalid("--subject-token: %v", err)
	}
	return json.Marshal(decoded.Claims)
}

// readToken reads a token from a file, or from standard input for "-". Its text never stands in an error.
func readToken(s *session, flag, name string) (string, error) {
	in := s.cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", api.Invalid("%s: %v", flag, err)
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, api.MaxBody))
	if err != nil {
		return "", api.Invalid("%s: %v", flag, err)
	}
	return strings.TrimSpace(string(data)), nil
}

// explain asks the server, or the registry file and the policy that the flags name.
func (f *explainFlags) explain(h *Host, s *session, asked api.ExplainRequest) (*api.Explanation, error) {
	if f.offline.Registry != "" {
		if asked.Assertion != "" {
			return nil, api.Invalid("--assertion is verified by a running server, which has the keys, so it does not go with --registry")
		}
		if asked.Request != nil {
			return nil, api.Invalid("--request is judged by the m2m_auth of a running server, so it does not go with --registry")
		}
		f.offline.Issuer = s.flags.issuer
		return h.Explain(s.ctx, f.offline, asked)
	}
	if len(f.offline.Policy) > 0 || f.offline.DefaultsOff || f.offline.Audience != "" {
		return nil, api.Invalid("--policy, --defaults-off and --audience are for --registry: a server has its own")
	}
	explained := new(api.Explanation)
	return explained, s.call(http.MethodPost, "/explain", nil, asked, explained)
}

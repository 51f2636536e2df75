package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/file"
)

// exitRefused is the exit code of explain when something is rejected.
const exitRefused = exitDifferent

// explainFlags are those of `caddy m2m explain`.
type explainFlags struct {
	request, remoteIP, at string
	headers, resources    []string
	door                  int
	trace                 bool

	// without a server
	registry, audience string
	policy             []string
	defaultsOff        bool
}

func explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain <client> [<scope>...] [flags]",
		Short: "Says what a client would be given, and which rules decide",
		Long: `
Decides as a token request of the client would be decided now, and names for each
scope the rules that grant, reject or observe it, with file and line, and what the
client's grants have to do with it. Nothing is issued. Without a scope the policy's
default scopes are explained.

--request has the m2m_auth of the config judge a request with that token, too.

With --registry no server is asked: the registry file and the policy of --policy
decide, together with the rules that ship unless there is --defaults-off.

The exit code is 0 when every scope is granted and the request is let through, 2
when not, 3 when there is no such client, and 5 when what was typed is wrong.`,
		Example: `  $ caddy m2m explain ci-bot book:1:read book:1:edit
  $ caddy m2m explain ci-bot 'book:*:edit' --request 'PUT https://api.example.com/books/1'
  $ caddy m2m explain ci-bot book:1:read --registry registry.yaml --policy policy/`,
		Args: cobra.MinimumNArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.request, "request", "", "method and URL of a request that is judged, too")
	flags.StringArrayVar(&f.headers, "header", nil, "header of that request, such as 'X-Tenant: a'; may be repeated")
	flags.IntVar(&f.door, "door", -1, "number of the one m2m_auth that judges (default: each that takes the issuer's tokens)")
	flags.StringVar(&f.remoteIP, "remote-ip", "", "address that the client asks from")
	flags.StringArrayVar(&f.resources, "resource", nil, "audience that the token is asked for (RFC 8707); may be repeated")
	flags.StringVar(&f.at, "time", "", "decide as of this time, such as 2030-01-01T09:00:00Z (default: now)")
	flags.BoolVar(&f.trace, "trace", false, "show the whole evaluation")
	flags.StringVar(&f.registry, "registry", "", "registry file, instead of a running server")
	flags.StringArrayVar(&f.policy, "policy", nil, "with --registry: folder or file of the policy; may be repeated")
	flags.BoolVar(&f.defaultsOff, "defaults-off", false, "with --registry: leave out the rules that ship")
	flags.StringVar(&f.audience, "audience", "", "with --registry: the issuer's audience (default: its URL)")
	return administer(cmd, func(s *session, args []string) error {
		asked, err := f.asked(args)
		if err != nil {
			return err
		}
		told := new(api.Explanation)
		if f.registry != "" {
			told, err = f.offline(s.ctx, s.flags.issuer, asked)
		} else if err = f.checkOnline(); err == nil {
			err = s.call(http.MethodPost, "/explain", nil, asked, told)
		}
		if err != nil {
			return err
		}
		if err := s.print(told, func() { s.printExplanation(told) }); err != nil || told.Passes {
			return err
		}
		return &exitError{exitRefused, errors.New("")}
	})
}

// asked is what the flags ask for.
func (f *explainFlags) asked(args []string) (api.ExplainRequest, error) {
	asked := api.ExplainRequest{Client: args[0], Scopes: args[1:], RemoteIP: f.remoteIP, Audience: f.resources, Trace: f.trace}
	var err error
	if f.at != "" {
		if asked.Time, err = time.Parse(time.RFC3339, f.at); err != nil {
			return asked, wrong("--time %q is not like 2030-01-01T09:00:00Z", f.at)
		}
	}
	if f.request == "" {
		if len(f.headers) > 0 || f.door >= 0 {
			return asked, wrong("--header and --door are about a --request")
		}
		return asked, nil
	}
	method, target, found := strings.Cut(strings.TrimSpace(f.request), " ")
	if !found {
		return asked, wrong("--request is a method and a URL, such as 'GET https://api.example.com/books/1'")
	}
	asked.Request = &api.ProxiedRequest{Method: method, URL: strings.TrimSpace(target), Headers: make(map[string]string)}
	for _, header := range f.headers {
		name, value, found := strings.Cut(header, ":")
		if !found {
			return asked, wrong("--header %q has no colon", header)
		}
		asked.Request.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if f.door >= 0 {
		asked.Request.Door = &f.door
	}
	return asked, nil
}

func (f *explainFlags) checkOnline() error {
	if len(f.policy) > 0 || f.defaultsOff || f.audience != "" {
		return wrong("--policy, --defaults-off and --audience are for --registry: a server has its own")
	}
	return nil
}

// offline decides here, by the code that a server decides with.
func (f *explainFlags) offline(ctx context.Context, url string, asked api.ExplainRequest) (*api.Explanation, error) {
	if asked.Request != nil {
		return nil, wrong("--request is judged by the m2m_auth of a running server, which --registry does without")
	}
	settings := &Issuer{
		URL: cmp.Or(url, "http://localhost"), Audience: f.audience,
		Policy: PolicySource{Paths: f.policy, DefaultsOff: f.defaultsOff},
	}
	if _, err := settings.checkSettings(); err != nil {
		return nil, wrong("%w", err)
	}
	file, err := file.Open(f.registry)
	if err != nil {
		return nil, &exitError{exitInvalid, fmt.Errorf("reading the registry: %w", err)}
	}
	engine, err := settings.Policy.load(nil, "", zap.NewNop())
	if err != nil {
		return nil, &exitError{exitInvalid, fmt.Errorf("loading the policy: %w", err)}
	}
	issuer := &issuerServer{URL: settings.URL, Audience: settings.Audience, TokenTTL: time.Duration(settings.TokenTTL), registry: file, policy: engine, host: caddyHost{}}
	defer issuer.close()
	told, err := issuer.tell(ctx, asked, nil)
	if err != nil {
		return nil, &exitError{exitCodeOf(adminErrorOf(err).Status()), err}
	}
	return told, nil
}

package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// adminFlags are those of every command that administers a server.
type adminFlags struct {
	address, config, adapter, issuer string
	format                           tableFormat
}

func (f *adminFlags) add(cmd *cobra.Command) {
	f.format = "table"
	flags := cmd.Flags()
	flags.StringVar(&f.address, "address", "", "address of the admin endpoint (default: the config's, else "+caddy.DefaultAdminListen+")")
	flags.StringVarP(&f.config, "config", "c", "", "config file that says where the admin endpoint is")
	flags.StringVarP(&f.adapter, "adapter", "a", "", "name of the config's adapter")
	flags.StringVar(&f.issuer, "issuer", "", "URL of the issuer (default: the only one)")
	if flags.Lookup("format") == nil {
		flags.Var(&f.format, "format", "table or json")
	}
}

// tableFormat is table or json; anything else is a usage error.
type tableFormat string

func (f *tableFormat) String() string { return string(*f) }
func (f *tableFormat) Type() string   { return "format" }
func (f *tableFormat) Set(value string) error {
	if value != "table" && value != "json" {
		return errors.New("it is table or json")
	}
	*f = tableFormat(value)
	return nil
}

// session is one command that administers a server.
type session struct {
	ctx    context.Context
	cmd    *cobra.Command
	out    *stickyWriter
	flags  *adminFlags
	name   string // of the admin endpoint, for people
	client *http.Client
	origin string
	remote bool // the endpoint is one that Origin can name, and not a socket
}

// administer makes a command that talks to a server. Its errors go to standard error and become exit
// codes.
func administer(cmd *cobra.Command, run func(s *session, args []string) error) *cobra.Command {
	return administerAll(cmd, func(s *session, args []string) error {
		ctx, cancel := context.WithTimeout(s.ctx, commandTimeout)
		defer cancel()
		s.ctx = ctx
		return run(s, args)
	})
}

// administerAll is administer for a whole registry, which takes as long as it is large: to give up on
// apply is not to know what was written.
func administerAll(cmd *cobra.Command, run func(s *session, args []string) error) *cobra.Command {
	flags := new(adminFlags)
	flags.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := newSession(cmd.Context(), cmd, flags)
		if err == nil {
			err = run(s, args)
		}
		return exitWith(cmd, err)
	}
	return cmd
}

func newSession(ctx context.Context, cmd *cobra.Command, flags *adminFlags) (*session, error) {
	address, err := findAdmin(flags)
	if err != nil {
		return nil, err
	}
	parsed, err := caddy.ParseNetworkAddress(address)
	if err != nil || parsed.PortRangeSize() > 1 {
		return nil, wrong("%q is not the address of an admin endpoint", address)
	}
	s := &session{ctx: ctx, cmd: cmd, out: &stickyWriter{w: cmd.OutOrStdout()}, flags: flags, name: address, origin: "http://" + parsed.JoinHostPort(0), remote: true}
	if parsed.IsUnixNetwork() || parsed.IsFdNetwork() {
		s.origin, s.remote = "http://127.0.0.1", false
		parsed.Host, _, _ = strings.Cut(parsed.Host, "|") // the socket's permissions
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: commandTimeout}).DialContext(ctx, parsed.Network, parsed.JoinHostPort(0))
	}
	s.client = &http.Client{
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		// a path that is cleaned on the way names something else than was meant
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// findAdmin is the address of the admin endpoint, as caddy reload finds it.
func findAdmin(flags *adminFlags) (string, error) {
	if _, rest, found := strings.Cut(flags.address, "://"); found {
		return "", wrong("--address takes no scheme: write %s", strings.TrimRight(rest, "/"))
	}
	// what the adapter says of the config is for who loads it, unless it cannot be read
	_, loud, said := caddy.BufferedLog()
	defer caddy.UnbufferDefaultLogger(loud)
	address, err := caddycmd.DetermineAdminAPIAddress(flags.address, nil, flags.config, flags.adapter)
	if err != nil {
		return "", fmt.Errorf("finding the admin endpoint: %w", err)
	}
	said.FlushTo(zap.NewNop())
	return address, nil
}

// send makes a request and returns its answer, if that is not an error.
func (s *session) send(method, path string, query url.Values, contentType string, body []byte) (*http.Response, error) {
	if query == nil {
		query = url.Values{}
	}
	if s.flags.issuer != "" {
		query.Set("issuer", s.flags.issuer)
	}
	target := s.origin + "/m2m" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(s.ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	if s.remote {
		request.Header.Set("Origin", s.origin)
	}
	response, err := s.client.Do(request)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil, &exitError{exitUnavailable, fmt.Errorf("the admin endpoint %s broke off without an answer: the log of the server says why", s.name)}
	}
	if err != nil {
		return nil, &exitError{exitUnavailable, fmt.Errorf("no answer from the admin endpoint %s: %w\nIs Caddy running? Another endpoint is named by --address or --config", s.name, errors.Unwrap(err))}
	}
	if response.StatusCode >= 300 {
		defer response.Body.Close()
		return nil, answeredError(response)
	}
	return response, nil
}

// answeredError is what the server says is wrong, with an exit code.
func answeredError(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, api.MaxBody))
	var answer api.Error
	if location := response.Header.Get("Location"); location != "" {
		return &exitError{exitInvalid, errors.New("a name is empty, or made of dots: no path has it")}
	}
	if json.Unmarshal(text, &answer) != nil || answer.Message == "" {
		answer.Message = fmt.Sprintf("the admin endpoint answered %s: %s", response.Status, strings.TrimSpace(string(text)))
	}
	switch answer.Code { // as the commands say it
	case api.CodeInUse:
		answer.Message = strings.Replace(answer.Message, "say force", "use --force", 1)
	case api.CodeIssuerRequired:
		answer.Message = strings.Replace(answer.Message, "?issuer=<url>", "--issuer <url>", 1)
	}
	return &exitError{exitCodeOf(response.StatusCode), errors.New(printableLines(answer.Message))}
}

// call makes a request with a JSON body, if there is one, and reads the JSON answer. With --format json
// the answer is printed as it came, and into is still read.
func (s *session) call(method, path string, query url.Values, body, into any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return err
		}
	}
	response, err := s.send(method, path, query, "application/json", data)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if into == nil || response.StatusCode == http.StatusNoContent {
		return nil
	}
	return s.read(response, into)
}

// read reads a JSON answer.
func (s *session) read(response *http.Response, into any) error {
	decoder := json.NewDecoder(response.Body)
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return &exitError{exitUnavailable, fmt.Errorf("what answers at %s is no admin endpoint with m2m, or it broke off: %w", s.name, err)}
	}
	return nil
}

// segment is an id in a path, where "." and ".." would be steps.
func segment(id string) string {
	if id == "." || id == ".." {
		return "/" + strings.ReplaceAll(id, ".", "%2E")
	}
	return "/" + url.PathEscape(id)
}

package cli

import (
	"bytes"
	"cmp"
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

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// adminFlags are the flags of every command that administers a server.
type adminFlags struct {
	address, config, adapter, issuer string
	format                           formatFlag
}

// session is one command that administers a server.
type session struct {
	ctx      context.Context
	cmd      *cobra.Command
	out      *stickyWriter
	flags    *adminFlags
	endpoint Endpoint
	client   *http.Client
	accept   string // media types, "" for any
}

// administer makes a command that talks to a server, for at most commandTimeout.
func (h *Host) administer(cmd *cobra.Command, run func(s *session, args []string) error) *cobra.Command {
	return h.administerAll(cmd, func(s *session, args []string) error {
		ctx, cancel := context.WithTimeout(s.ctx, commandTimeout)
		defer cancel()
		s.ctx = ctx
		return run(s, args)
	})
}

// administerAll is like administer, without a time limit: after a timeout, a command that changes the whole registry could
// not say what the server has written.
func (h *Host) administerAll(cmd *cobra.Command, run func(s *session, args []string) error) *cobra.Command {
	f := &adminFlags{format: forPeople("table")}
	flags := cmd.Flags()
	flags.StringVar(&f.address, "address", "", "address of the admin endpoint (default: the config's, else "+h.DefaultAdmin+")")
	flags.StringVarP(&f.config, "config", "c", "", "config file that has the address of the admin endpoint")
	flags.StringVarP(&f.adapter, "adapter", "a", "", "name of the config's adapter")
	flags.StringVar(&f.issuer, "issuer", "", "URL of the issuer (default: the only one)")
	if flags.Lookup("format") == nil {
		flags.Var(&f.format, "format", "table or json")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := h.newSession(cmd, f)
		if err != nil {
			return err
		}
		return run(s, args)
	}
	return cmd
}

func (h *Host) newSession(cmd *cobra.Command, flags *adminFlags) (*session, error) {
	if _, rest, found := strings.Cut(flags.address, "://"); found {
		return nil, api.Invalid("--address takes no scheme: write %s", strings.TrimRight(rest, "/"))
	}
	endpoint, err := h.FindAdmin(flags.address, flags.config, flags.adapter)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: commandTimeout}).DialContext(ctx, endpoint.Network, endpoint.Address)
	}
	client := &http.Client{
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		// a server redirects a path that it cleans, and the clean path names another entry
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &session{ctx: cmd.Context(), cmd: cmd, out: &stickyWriter{w: cmd.OutOrStdout()}, flags: flags, endpoint: endpoint, client: client}, nil
}

// getCommand makes a command that prints what the server has at a path, in which the first argument takes the place of %s.
func getCommand[T any](h *Host, cmd *cobra.Command, path string, text func(*session, T)) *cobra.Command {
	return h.administer(cmd, func(s *session, args []string) error {
		target := path
		if len(args) > 0 {
			target = fmt.Sprintf(path, segment(args[0]))
		}
		return ask(s, http.MethodGet, target, nil, nil, text)
	})
}

// ask makes a request, and prints the answer as JSON or with text.
func ask[T any](s *session, method, path string, query url.Values, body any, text func(*session, T)) error {
	var answer T
	if err := s.call(method, path, query, body, &answer); err != nil {
		return err
	}
	return s.print(answer, func() { text(s, answer) })
}

// send makes a request. An answer with an error status becomes an error.
func (s *session) send(method, path string, query url.Values, contentType string, body []byte) (*http.Response, error) {
	if query == nil {
		query = url.Values{}
	}
	if s.flags.issuer != "" {
		query.Set("issuer", s.flags.issuer)
	}
	target := cmp.Or(s.endpoint.Origin, "http://127.0.0.1") + "/m2m" + path
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
	if s.accept != "" {
		request.Header.Set("Accept", s.accept)
	}
	if s.endpoint.Origin != "" {
		request.Header.Set("Origin", s.endpoint.Origin)
	}
	response, err := s.client.Do(request)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil, &exitError{exitUnavailable, fmt.Errorf("the admin endpoint %s closed the connection without an answer: the log of the server says why", s.endpoint.Name)}
	}
	if err != nil {
		return nil, &exitError{exitUnavailable, fmt.Errorf("no answer from the admin endpoint %s: %w\nIs Caddy running, with an admin endpoint (not \"admin off\")? If the endpoint is elsewhere, give --address or --config", s.endpoint.Name, errors.Unwrap(err))}
	}
	if response.StatusCode >= 300 {
		defer response.Body.Close()
		return nil, answeredError(response)
	}
	return response, nil
}

// answeredError is the error of an answer, with the exit code of its status.
func answeredError(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, api.MaxBody))
	var answer api.Error
	if location := response.Header.Get("Location"); location != "" {
		return &exitError{exitInvalid, errors.New("a name is empty or consists of dots, so no path can have it")}
	}
	if json.Unmarshal(text, &answer) != nil || answer.Message == "" {
		answer.Message = fmt.Sprintf("the admin endpoint answered %s: %s", response.Status, strings.TrimSpace(string(text)))
	}
	return refusedBy(&answer, response.StatusCode)
}

// refusal is an error that the server answered.
type refusal struct{ answer *api.Error }

func (r *refusal) Error() string { return printableLines(r.answer.Message) }

// refusedBy names the flags of the commands in place of the parameters of the API.
func refusedBy(answer *api.Error, status int) error {
	switch answer.Code {
	case api.CodeInUse:
		answer.Message = strings.Replace(answer.Message, "use force", "use --force", 1)
	case api.CodeIssuerRequired:
		answer.Message = strings.Replace(answer.Message, "?issuer=<url>", "--issuer <url>", 1)
	}
	return &exitError{exitCodeOf(status), &refusal{answer}}
}

// call makes a request, with body as JSON unless it is nil, and reads the JSON answer into into.
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
	data, err := readBounded(response.Body, api.MaxAnswer)
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		err = decoder.Decode(into)
	}
	if err != nil {
		return &exitError{exitUnavailable, fmt.Errorf("the answer of %s is incomplete, or not that of an admin endpoint with m2m: %w", s.endpoint.Name, err)}
	}
	return nil
}

// readBounded reads at most limit bytes, and fails if there are more.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	return data, err
}

// segment is an ID as a segment of a path. "." and ".." are escaped, because servers would remove them.
func segment(id string) string {
	if id == "." || id == ".." {
		return "/" + strings.ReplaceAll(id, ".", "%2E")
	}
	return "/" + url.PathEscape(id)
}

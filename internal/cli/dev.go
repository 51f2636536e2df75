package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

const devWarning = `****************************************************************************
NOT FOR PRODUCTION. This is for trying things out on one machine: plain HTTP
on loopback, and a client whose secret is in a file.
****************************************************************************

`

// devFlags are the flags of `caddy m2m dev`.
type devFlags struct{ listen, admin, dir string }

func (h *Host) devCommand() *cobra.Command {
	var flags devFlags
	cmd := &cobra.Command{
		Use:   "dev [flags]",
		Short: "Runs an issuer, a client and a door to try things out with",
		Long: `
Runs an issuer on loopback, with a resource "book", a client "demo" that may read
every book, a policy to edit, and a book API behind m2m_auth. It prints what to
try next. It needs no files, and leaves none when it ends.

With --dir the state is kept in that folder, and the next run continues from it.
Files of the starter that are missing are created again. The port is part of the
issuer's URL: another port is another issuer with its own registry.

It is not for production, and listens only on loopback.`,
		Example: `  $ caddy m2m dev
  $ caddy m2m dev --listen 127.0.0.1:9000 --admin 127.0.0.1:9001 --dir ./state`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.run(cmd.Context(), h, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&flags.listen, "listen", "127.0.0.1:8080", "loopback address to listen on")
	cmd.Flags().StringVar(&flags.admin, "admin", "127.0.0.1:2019", "loopback address of the admin endpoint")
	cmd.Flags().StringVar(&flags.dir, "dir", "", "folder to keep the state in (default: a temporary one)")
	return cmd
}

// run serves until a signal ends it. It handles signals itself, because Caddy's own handling would leave the temporary
// folder behind and keep running when the terminal is closed.
func (f *devFlags) run(ctx context.Context, h *Host, out, log io.Writer) error {
	ctx, restore := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer restore()
	signal.Ignore(syscall.SIGPIPE) // a closed pipe must not end the process before cleanup
	server, err := newDevServer(f, h.DefaultAdmin)
	if err != nil {
		return err
	}
	remove := func() {
		if !server.Temporary {
			return
		}
		if err := os.RemoveAll(server.Dir); err != nil {
			fmt.Fprintf(log, "removing %s: %v\n", server.Dir, err)
		}
	}
	defer remove()
	h.OnExit(remove) // `caddy stop` ends the process without returning here
	fmt.Fprint(log, devWarning)
	if err := server.serve(ctx, h, out); err != nil {
		_ = h.Stop() // err says more
		return err
	}
	<-ctx.Done()
	restore() // a second signal does not wait for requests
	return h.Stop()
}

// serve starts the server, adds the starter's entries to the registry and prints what to do next.
func (s *devServer) serve(ctx context.Context, h *Host, out io.Writer) error {
	secret, fresh, err := s.writeFiles()
	if err != nil {
		return err
	}
	if err := h.Start(s.path("Caddyfile")); err != nil {
		return err
	}
	entries, err := h.Store()
	if err == nil {
		err = addStarter(ctx, entries, secret, fresh)
	}
	if err != nil {
		return fmt.Errorf("adding the starter's entries: %w", err)
	}
	return devTemplates.ExecuteTemplate(out, "welcome.tmpl", s)
}

package cli

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	shipped "github.com/caddy-m2m/caddy-m2m/rego"
)

//go:embed all:init_files
var initFiles embed.FS

func initCommand() *cobra.Command {
	var library bool
	cmd := &cobra.Command{
		Use:   "init [flags] <folder>",
		Short: "Makes a folder with a policy to start from",
		Long: `
Makes a folder with a policy to change: annotated rules for tokens, for proxied
requests and for identities, their tests, the schemas of their input, settings for the Regal linter
and for editors, and a README of the contract. The folder must be empty or new.

The folder policy/.m2m has a copy of the shipped modules, so that opa, Regal and
editors find them. The server does not read it. With --library, the command writes only
this copy, into a policy that exists. Use it after an update.`,
		Example: `  $ caddy m2m init books-policy
  $ cd books-policy && caddy opa test policy
  $ caddy m2m init --library /etc/caddy/policy`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if library {
				return initLibrary(cmd, args[0])
			}
			if err := initFolder(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "made %[1]s; its README.md explains the files. Try:\n\n  cd %[1]s\n  caddy opa test policy\n", args[0])
			return err
		},
	}
	cmd.Flags().BoolVar(&library, "library", false, "write only the shipped modules, into the policy that is in the folder")
	return cmd
}

// initLibrary writes the shipped modules into an existing policy.
func initLibrary(cmd *cobra.Command, folder string) error {
	if info, err := os.Stat(folder); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", folder)
	}
	if err := writeLibrary(folder); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "wrote %s\n", filepath.Join(folder, libraryFolder))
	return err
}

// initFolder fills a folder that is empty or new. If it fails, the files that it has written stay.
func initFolder(folder string) error {
	entries, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: nothing was written", folder)
	}
	starter, err := fs.Sub(initFiles, "init_files")
	if err != nil {
		return err
	}
	schemas, err := fs.Sub(shipped.Files, "schemas")
	if err != nil {
		return err
	}
	return errors.Join(
		os.CopyFS(folder, starter),
		os.CopyFS(filepath.Join(folder, "schemas"), schemas),
		writeLibrary(filepath.Join(folder, "policy")),
	)
}

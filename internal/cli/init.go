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
	return &cobra.Command{
		Use:   "init <folder>",
		Short: "Makes a folder with a policy to start from",
		Long: `
Makes a folder with a policy to change: annotated rules for tokens and for proxied
requests, their tests, the schemas of their input, settings for the Regal linter
and for editors, and a README of the contract. The folder must be empty or new.`,
		Example: `  $ caddy m2m init books-policy
  $ cd books-policy && caddy opa test policy`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := initFolder(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "made %[1]s; its README.md explains the files. Try:\n\n  cd %[1]s\n  caddy opa test policy\n", args[0])
			return err
		},
	}
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
	return errors.Join(os.CopyFS(folder, starter), os.CopyFS(filepath.Join(folder, "schemas"), schemas))
}

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
	return errors.Join(copyFiles(starter, folder), copyFiles(schemas, filepath.Join(folder, "schemas")))
}

// copyFiles copies files to a folder that has none of them.
func copyFiles(from fs.FS, folder string) error {
	return fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := filepath.Join(folder, filepath.FromSlash(name))
		if entry.IsDir() {
			return os.MkdirAll(path, 0o755)
		}
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = file.Write(content)
		return errors.Join(err, file.Close())
	})
}

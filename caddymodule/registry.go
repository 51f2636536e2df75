package caddymodule

import (
	"errors"
	"fmt"
	"path"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/file"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

// RegistrySource says where an issuer's clients, resources and grants are kept.
type RegistrySource struct {
	// Source is "storage" for Caddy's storage, where the admin API and the commands change it, or
	// "file". Default: storage.
	Source string `json:"source,omitempty"`

	// Path is the registry file, YAML or JSON. It is read again when it changes; a broken edit
	// leaves what was read before. Relative paths are relative to the working directory.
	// Placeholders: {env.*} and {file.*}. Required for a file, and for nothing else.
	Path string `json:"path,omitempty"`

	// CacheSize is how many clients of a storage are kept in memory; the others are loaded when they
	// ask for a token. At least 1, at most 10000000. Default: 10000.
	CacheSize int `json:"cache_size,omitempty"`
}

// openRegistry reads a registry file. A registry in storage is read when the server starts.
func (i *Issuer) openRegistry(c *issuer.Config) error {
	c.Usage = store.NewUsage(c.Storage, path.Join(issuer.StoragePath(i.URL), "usage"))
	source := RegistrySource{}
	if i.Registry != nil {
		source = *i.Registry
	}
	if err := source.check(); err != nil {
		return err
	}
	if source.Source == issuer.RegistryInFile {
		file, err := file.Open(source.Path)
		if err != nil {
			return fmt.Errorf("reading the registry: %w", err)
		}
		c.Registry, c.RegistryPath = file, source.Path
		return nil
	}
	stored := store.New(c.Storage, path.Join(issuer.StoragePath(i.URL), "registry"))
	stored.SetLookups(c.Storage.ForUnauthenticated(), c.Storage.Unverified())
	if source.CacheSize > 0 {
		stored.SetCacheSize(source.CacheSize)
	}
	stored.OnFault = func(doing string, err error) { c.Logger.Error(doing+" failed", zap.Error(err)) }
	c.Registry = stored
	return nil
}

func (s RegistrySource) check() error {
	switch {
	case s.Source != "" && s.Source != issuer.RegistryInStorage && s.Source != issuer.RegistryInFile:
		return fmt.Errorf("registry source %q is unknown; it is \"storage\" or \"file\"", s.Source)
	case s.Source == issuer.RegistryInFile && s.Path == "":
		return errors.New("a registry file needs a path")
	case s.Source != issuer.RegistryInFile && s.Path != "":
		return errors.New("a registry in storage has no path")
	case s.Source == issuer.RegistryInFile && s.CacheSize != 0:
		return errors.New("a registry file has no cache_size: all of it is in memory")
	case s.CacheSize < 0 || s.CacheSize > maxCacheSize:
		return fmt.Errorf("cache_size is %d; it is at least 1 and at most %d", s.CacheSize, maxCacheSize)
	}
	return nil
}

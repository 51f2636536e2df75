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

const maxCacheSize = 10_000_000

// RegistrySource says where an issuer's clients, resources and grants are stored.
type RegistrySource struct {
	// Source is "storage" or "file". With "storage" the registry is in Caddy's storage, and the admin API and the commands
	// change it. Default: storage.
	Source string `json:"source,omitempty"`

	// Path is the registry file, in YAML or JSON. It is read again after it changes. If the new version is broken, the former
	// one stays in force. A relative path is relative to the working directory. Placeholders: {env.*} and {file.*}. Required
	// if Source is "file", otherwise an error.
	Path string `json:"path,omitempty"`

	// CacheSize is the number of clients that are kept in memory. Other clients are loaded from storage when they
	// authenticate. At least 1, at most 10000000. Default: 10000. An error if Source is "file".
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

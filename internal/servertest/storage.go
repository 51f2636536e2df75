package servertest

import (
	"context"
	"errors"
	"path"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

func init() { caddy.RegisterModule(new(storageModule)) }

// storageModule is Caddy's file storage, whose operations FailStorage can make fail.
type storageModule struct {
	Root string `json:"root"`
}

// CaddyModule says how Caddy finds the storage.
func (*storageModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.servertest", New: func() caddy.Module { return new(storageModule) }}
}

// CertMagicStorage makes the storage.
func (m *storageModule) CertMagicStorage() (certmagic.Storage, error) {
	return &storage{&certmagic.FileStorage{Path: m.Root}}, nil
}

// failing is the name of the one operation that fails now.
var failing atomic.Value

var errStorage = errors.New("the storage is away")

// FailLoad makes loading the objects of that base name fail from now on. FailStorage heals it.
func (s *Server) FailLoad(name string) { failing.Store("Load " + name) }

// FailStorage makes one operation of the storage fail from now on: "Load", "Store", "List" or
// "Lock". The empty name heals it.
func (s *Server) FailStorage(operation string) { failing.Store(operation) }

// watching is called before each operation.
var watching atomic.Pointer[func(operation, key string)]

// WatchStorage has a function called before each "Load", "Store", "List", "Exists" and "Lock" of the storage, which
// waits for it. The function may be called by several goroutines at once; nil ends it.
func (s *Server) WatchStorage(watch func(operation, key string)) { watching.Store(&watch) }

func fault(operation, name string) error {
	if watch := watching.Load(); watch != nil && *watch != nil {
		(*watch)(operation, name)
	}
	if now := failing.Load(); now == operation || now == operation+" "+path.Base(name) {
		return errStorage
	}
	return nil
}

type storage struct{ *certmagic.FileStorage }

func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	if err := fault("Load", key); err != nil {
		return nil, err
	}
	return s.FileStorage.Load(ctx, key)
}

func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	if err := fault("Store", key); err != nil {
		return err
	}
	return s.FileStorage.Store(ctx, key, value)
}

func (s *storage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if err := fault("List", prefix); err != nil {
		return nil, err
	}
	return s.FileStorage.List(ctx, prefix, recursive)
}

func (s *storage) Lock(ctx context.Context, name string) error {
	if err := fault("Lock", name); err != nil {
		return err
	}
	return s.FileStorage.Lock(ctx, name)
}

func (s *storage) Exists(ctx context.Context, key string) bool {
	return fault("Exists", key) == nil && s.FileStorage.Exists(ctx, key)
}

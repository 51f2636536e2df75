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

// storageModule is Caddy's file storage, with operations that FailStorage can make fail.
type storageModule struct {
	Root string `json:"root"`
}

// CaddyModule returns the module's ID and constructor.
func (*storageModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.servertest", New: func() caddy.Module { return new(storageModule) }}
}

// CertMagicStorage returns the storage.
func (m *storageModule) CertMagicStorage() (certmagic.Storage, error) {
	return &storage{&certmagic.FileStorage{Path: m.Root}}, nil
}

// failing is the name of the operation that fails.
var failing atomic.Value

var errStorage = errors.New("the storage is unreachable")

// FailLoad makes loading the objects with this base name fail, until the next FailStorage.
func (s *Server) FailLoad(name string) { failing.Store("Load " + name) }

// FailStorage makes one operation of the storage fail: "Load", "Store", "List" or "Lock". After the empty name none fails.
func (s *Server) FailStorage(operation string) { failing.Store(operation) }

// watching is called before each operation.
var watching atomic.Pointer[func(operation, key string)]

// WatchStorage sets a function that is called before each "Load", "Store", "List", "Exists" and "Lock" of the storage, which
// waits for it. Several goroutines may call the function concurrently. After nil none is called.
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

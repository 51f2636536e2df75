package caddymodule

import (
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
)

// bounds are what the calls of one storage have in common, whoever in this process makes them.
type bounds struct {
	places    chan struct{} // one for each call that is under way
	strangers share
	overtime  atomic.Int64  // writes under way that nobody waits for any more
	unwritten poll.Failures // why the last write failed

	mu    sync.Mutex
	taken map[string]takenLock // those that were taken last, by name
	kept  map[string]*keptLock // by name
}

// allBounds are those of each storage, for as long as somebody has them: who calls, or a call that is under way.
var allBounds = struct {
	sync.Mutex
	of map[any]weak.Pointer[bounds]
}{of: make(map[any]weak.Pointer[bounds])}

func boundsOf(storage certmagic.Storage) *bounds {
	key := identityOf(storage)
	allBounds.Lock()
	defer allBounds.Unlock()
	if known := allBounds.of[key].Value(); known != nil {
		return known
	}
	fresh := &bounds{
		places:    make(chan struct{}, storageCalls),
		strangers: share{places: make(chan struct{}, strangerCalls)},
		taken:     make(map[string]takenLock),
		kept:      make(map[string]*keptLock),
	}
	allBounds.of[key] = weak.Make(fresh)
	runtime.AddCleanup(fresh, forgetBounds, key)
	return fresh
}

func forgetBounds(key any) {
	allBounds.Lock()
	defer allBounds.Unlock()
	if allBounds.of[key].Value() == nil { // else somebody has come meanwhile
		delete(allBounds.of, key)
	}
}

// fileStorage is Caddy's own storage, in a folder.
type fileStorage interface{ Filename(key string) string }

// folder is where a storage of files is.
type folder string

// identityOf tells whether two storages are the same. Caddy makes a new one for each config, and only of files can it be
// told that they are where those of another config are.
func identityOf(storage certmagic.Storage) any {
	if files, ok := storage.(fileStorage); ok {
		return folder(files.Filename(""))
	}
	if reflect.ValueOf(storage).Comparable() {
		return storage
	}
	return &storage
}

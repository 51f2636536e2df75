package storage

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

var errDown = errors.New("the storage is down")

func open(s certmagic.Storage) *Storage { return Open(testPool, s, nil, zap.NewNop()) }

// answering is a storage that answers as it is told.
type answering struct {
	certmagic.Storage // nil: what it is not expected to be asked for
	object            []byte
	load, list        error
}

func (a answering) Load(context.Context, string) ([]byte, error) { return a.object, a.load }

func (a answering) List(context.Context, string, bool) ([]string, error) { return nil, a.list }

func TestStorageThatTakesErrorsForAbsence(t *testing.T) {
	for name, c := range map[string]struct {
		storage answering
		want    error
	}{
		"there":                      {answering{object: []byte("x"), list: errDown}, nil},
		"not there":                  {answering{load: fs.ErrNotExist}, fs.ErrNotExist},
		"not there, nor is a folder": {answering{load: fs.ErrNotExist, list: fs.ErrNotExist}, fs.ErrNotExist},
		"away":                       {answering{load: errDown}, errDown},
		"away, and says not there":   {answering{load: fs.ErrNotExist, list: errDown}, errDown},
	} {
		object, err := open(c.storage).Load(t.Context(), "clients/ci-bot.json")
		if !errors.Is(err, c.want) || errors.Is(err, fs.ErrNotExist) != (c.want == fs.ErrNotExist) || string(object) != string(c.storage.object) {
			t.Errorf("%s: %q, %v", name, object, err)
		}
	}
}

// appearing is a storage as that of Redis, in which an object comes to be after the first look for it.
type appearing struct {
	certmagic.Storage
	loads int
}

func (a *appearing) Load(context.Context, string) ([]byte, error) {
	if a.loads++; a.loads == 1 {
		return nil, fs.ErrNotExist
	}
	return []byte("x"), nil
}

func (a *appearing) List(context.Context, string, bool) ([]string, error) {
	return nil, errors.New("WRONGTYPE Operation against a key holding the wrong kind of value")
}

// TestStorageInWhichAnObjectAppears is that of a node that starts while another one stores the first key.
func TestStorageInWhichAnObjectAppears(t *testing.T) {
	if object, err := open(new(appearing)).Load(t.Context(), "keys/a.json"); err != nil || string(object) != "x" {
		t.Errorf("%q, %v", object, err)
	}
}

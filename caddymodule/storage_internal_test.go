package caddymodule

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/caddyserver/certmagic"
)

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
		"there":                      {answering{object: []byte("x"), list: errAway}, nil},
		"not there":                  {answering{load: fs.ErrNotExist}, fs.ErrNotExist},
		"not there, nor is a folder": {answering{load: fs.ErrNotExist, list: fs.ErrNotExist}, fs.ErrNotExist},
		"away":                       {answering{load: errAway}, errAway},
		"away, and says not there":   {answering{load: fs.ErrNotExist, list: errAway}, errAway},
	} {
		object, err := doubtedStorage{Storage: c.storage}.Load(t.Context(), "clients/ci-bot.json")
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
	if object, err := (doubtedStorage{Storage: new(appearing)}).Load(t.Context(), "keys/a.json"); err != nil || string(object) != "x" {
		t.Errorf("%q, %v", object, err)
	}
}

// TestKeyThatIsSaidNotToBeThere: the storage is lost between one key and the next.
func TestKeyThatIsSaidNotToBeThere(t *testing.T) {
	c := newKeyCluster(t)
	n := c.node(0)
	n.keyring.storage = doubtedStorage{Storage: n.storage}
	n.start()
	first := n.signerID()
	if _, err := n.rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
	n.storage.fail = func(operation, name string) error {
		switch {
		case kidOf(name) != first:
			return nil
		case operation == "Load":
			return fs.ErrNotExist
		}
		return errAway
	}
	if err := n.look(); !errors.Is(err, errAway) {
		t.Errorf("the look says %v", err)
	}
	if n.signerID() != first || n.published().Len() != 2 || len(c.made) != 2 {
		t.Errorf("of %d keys that were made %d are published, and %s signs, not %s", len(c.made), n.published().Len(), n.signerID(), first)
	}
	n.storage.fail = nil
	n.mustLook()
}

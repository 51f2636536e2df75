package registry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
)

// Storage is where a Store keeps its objects. It has neither transactions nor compare-and-swap: one
// object is written whole or not at all, and a lock keeps writers apart. Load returns an error that
// is fs.ErrNotExist for what is not there.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, path string, recursive bool) ([]string, error)
	Exists(ctx context.Context, key string) bool
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

const (
	recordSuffix  = ".json"
	maxRecordName = 240     // bytes, for many file systems end at 255
	maxRecordSize = 1 << 20 // bytes
)

// recordName is the last part of the key of an entry. Ids may hold what file systems and storages
// do not, or fold together: lower-case letters, digits and "-_" stand for themselves, as "." does but at
// the beginning; an upper-case letter is "+" and its lower case, and anything else "=" and two hex digits.
func recordName(id string) (string, error) {
	var name strings.Builder
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' && i > 0:
			name.WriteByte(c)
		case c >= 'A' && c <= 'Z':
			name.Write([]byte{'+', c - 'A' + 'a'})
		default:
			fmt.Fprintf(&name, "=%02x", c)
		}
	}
	if name.Len() == 0 {
		return "", &InvalidError{Problems: []string{"the id is empty"}}
	}
	if name.Len() > maxRecordName {
		return "", &InvalidError{Problems: []string{fmt.Sprintf("the id is too long for the storage: a capital counts 2 there, "+
			`what is neither letter, digit, "-", "_" nor "." counts 3, and %d is more than %d`, name.Len(), maxRecordName)}}
	}
	return name.String() + recordSuffix, nil
}

// recordID is the id of a record's name, or false for an object that is none.
func recordID(key string) (id string, ok bool) {
	name, ok := strings.CutSuffix(path.Base(key), recordSuffix)
	if !ok {
		return "", false
	}
	var text strings.Builder
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '+' && i+1 < len(name):
			i++
			text.WriteString(strings.ToUpper(name[i : i+1]))
		case c == '=' && i+2 < len(name):
			b, err := hex.DecodeString(name[i+1 : i+3])
			if err != nil {
				return "", false
			}
			i += 2
			text.Write(b)
		default:
			text.WriteByte(c)
		}
	}
	id = text.String()
	again, err := recordName(id)
	return id, err == nil && again == name+recordSuffix
}

// Labels of the envelopes of stored objects. Each has the name of its entry, so that an object that was copied to
// another key is found to be damaged.
func clientLabel(id string) string     { return "client " + id }
func resourceLabel(code string) string { return "resource " + code }
func usageLabel(id string) string      { return "usage " + id }

const journalLabel = "journal"

// loadRecord returns the content of the object that is stored under a key, or ErrNotFound.
func loadRecord(ctx context.Context, storage Storage, key, label string) ([]byte, error) {
	object, err := storage.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, unavailable("loading "+key, err)
	}
	entry, err := envelope.Open(label, object)
	if err != nil {
		return nil, broken(key, err)
	}
	return entry, nil
}

// listTries is how often a listing is begun anew that an object's end has cut short.
const listTries = 10

// ListKeys lists the keys in a folder; one that is not there has none. A listing of Caddy's file storage ends
// when an object goes away meanwhile, be it a temporary file, with the error that it has for a folder that is
// not there; what is missing from it then would be taken for deleted.
func ListKeys(ctx context.Context, storage interface {
	List(ctx context.Context, path string, recursive bool) ([]string, error)
	Exists(ctx context.Context, key string) bool
}, folder string) (keys []string, err error) {
	for range listTries {
		if keys, err = storage.List(ctx, folder, false); !errors.Is(err, fs.ErrNotExist) {
			return keys, err
		}
		if !storage.Exists(ctx, folder) {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("the folder keeps changing: %w", err)
}

// listIDs lists the ids of the records in a folder, in no order.
func listIDs(ctx context.Context, storage Storage, folder string) ([]string, error) {
	keys, err := ListKeys(ctx, storage, folder)
	if err != nil {
		return nil, unavailable("listing "+folder, err)
	}
	ids := make([]string, 0, len(keys))
	for _, key := range keys {
		if id, ok := recordID(key); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// errBroken is wrapped by the error about one object that cannot be used, while others can.
var errBroken = errors.New("the object is broken")

func broken(key string, err error) error {
	return fmt.Errorf("%w: %w: %s: %w", ErrUnavailable, errBroken, key, err)
}

func unavailable(doing string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, doing, err)
}

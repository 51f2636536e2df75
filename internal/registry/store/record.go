package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
	"github.com/caddy-m2m/caddy-m2m/internal/folder"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

const (
	recordSuffix  = ".json"
	maxRecordName = 240     // bytes; the limit of many file systems is 255
	maxRecordSize = 1 << 20 // bytes
)

// Labels of the envelopes. Those of entries have a name, so that an object that was copied to another key is damaged.
const journalLabel = "journal"

func clientLabel(id string) string     { return "client " + id }
func resourceLabel(code string) string { return "resource " + code }
func usageLabel(id string) string      { return "usage " + id }

// recordName returns the last part of the key of an entry. Ids may hold characters that file systems and storages do not
// take, or do not distinguish: lower-case letters, digits, "-", "_" and any "." but the first stand for themselves, an
// upper-case letter is "+" and its lower case, and any other byte is "=" and two hex digits.
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
		return "", invalid("the id is empty")
	}
	if name.Len() > maxRecordName {
		return "", invalid(fmt.Sprintf("the id is too long for the storage: a capital counts 2 there, "+
			`what is neither letter, digit, "-", "_" nor "." counts 3, and %d is more than %d`, name.Len(), maxRecordName))
	}
	return name.String() + recordSuffix, nil
}

func invalid(problem string) error { return &registry.InvalidError{Problems: []string{problem}} }

// recordID returns the id of a record's key. It is not ok for the key of any other object.
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

// loadRecord returns the content of the object with that key and label, or registry.ErrNotFound.
func loadRecord(ctx context.Context, storage Storage, key, label string) ([]byte, error) {
	object, err := storage.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, registry.ErrNotFound
	}
	if err != nil {
		return nil, unavailable("loading "+key, err)
	}
	content, err := envelope.Open(label, object)
	if err != nil {
		return nil, broken(key, err)
	}
	return content, nil
}

func storeRecord(ctx context.Context, storage Storage, key, label string, content []byte) error {
	if err := storage.Store(ctx, key, envelope.Seal(label, content)); err != nil {
		return unavailable("storing "+key, err)
	}
	return nil
}

// listIDs lists the ids of the records in a folder, in any order.
func listIDs(ctx context.Context, storage Storage, path string) ([]string, error) {
	keys, err := folder.List(ctx, storage, path)
	if err != nil {
		return nil, unavailable("listing "+path, err)
	}
	ids := make([]string, 0, len(keys))
	for _, key := range keys {
		if id, ok := recordID(key); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func broken(key string, err error) error {
	return fmt.Errorf("%w: %w: %s: %w", registry.ErrUnavailable, registry.ErrBroken, key, err)
}

func unavailable(doing string, err error) error {
	return fmt.Errorf("%w: %s: %w", registry.ErrUnavailable, doing, err)
}

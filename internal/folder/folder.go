// Package folder lists the objects in a folder of a storage. Its entry point is List. It imports only the standard library.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Storage is what List needs of a storage.
type Storage interface {
	List(ctx context.Context, path string, recursive bool) ([]string, error)
	Exists(ctx context.Context, key string) bool
}

// tries is how often a listing that is cut short is tried.
const tries = 20

// List returns the keys of the objects in a folder. A folder that does not exist has none. If an object or a temporary
// file is deleted during a listing, Caddy's file storage ends the listing with the error for a folder that does not exist.
// List then lists the folder again, so that the missing objects are not taken for deleted.
func List(ctx context.Context, storage Storage, folder string) (keys []string, err error) {
	for range tries {
		if keys, err = storage.List(ctx, folder, false); !errors.Is(err, fs.ErrNotExist) {
			return keys, err
		}
		if !storage.Exists(ctx, folder) {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("the folder keeps changing: %w", err)
}

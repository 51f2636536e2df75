package folder

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"
)

// storage has a folder whose next listings are cut short.
type storage struct {
	cut    int
	err    error // of a whole listing
	exists bool
}

func (s *storage) List(context.Context, string, bool) ([]string, error) {
	if s.cut--; s.cut >= 0 {
		return []string{"a"}, fs.ErrNotExist
	}
	return []string{"a", "b"}, s.err
}

func (s *storage) Exists(context.Context, string) bool { return s.exists }

func TestList(t *testing.T) {
	errFailed := errors.New("failed")
	for name, c := range map[string]struct {
		storage storage
		want    []string
		err     error
	}{
		"whole":               {storage{exists: true}, []string{"a", "b"}, nil},
		"cut short":           {storage{cut: tries - 1, exists: true}, []string{"a", "b"}, nil},
		"cut short each time": {storage{cut: tries, exists: true}, nil, fs.ErrNotExist},
		"no folder":           {storage{cut: 1}, nil, nil},
		"failed":              {storage{err: errFailed, exists: true}, []string{"a", "b"}, errFailed},
	} {
		got, err := List(t.Context(), &c.storage, "folder")
		if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

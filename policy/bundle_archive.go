package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/loader/filter"
)

// maxCompressed bounds a bundle as it is sent and kept.
const maxCompressed = maxBytes

// maxUnpacked bounds all that the archive unpacks to: the files, and room for what tar has around
// each.
const maxUnpacked = maxBytes + maxFiles*2048

var (
	errNoArchive = errors.New("it is no gzipped tar archive")
	errTruncated = errors.New("the archive is truncated")
	errTooLarge  = errors.New("the files have more than 64 MiB")
)

// archive is an unpacked bundle. It is OPA's loader of one, too, with bounds on the whole of it: those
// of OPA's own are for each file.
type archive struct {
	files []archived
	next  int
}

type archived struct {
	name    string // as it stands in the archive, and in the signature
	path    string // clean
	content []byte
}

// unpack reads an archive. What would be read in different ways, or would reach out of the archive, is
// refused.
func unpack(compressed []byte) (*archive, error) {
	if len(compressed) > maxCompressed {
		return nil, errors.New("the archive has more than 64 MiB")
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, errNoArchive
	}
	stream := &bounded{r: unzipped, left: maxUnpacked}
	a := &archive{}
	if err := a.read(tar.NewReader(stream)); err != nil {
		return nil, explainArchive(err)
	}
	// what follows the archive is of no interest, but the checksum at its end is
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return nil, explainArchive(err)
	}
	return a, nil
}

func (a *archive) read(entries *tar.Reader) error {
	left := int64(maxBytes)
	seen := make(map[string]bool)
	for n := 0; ; n++ {
		header, err := entries.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n == maxFiles:
			return fmt.Errorf("more than %d files", maxFiles)
		case header.Typeflag == tar.TypeXGlobalHeader: // a remark on the archive itself
			continue
		}
		clean, err := cleanName(header.Name)
		switch {
		case err != nil:
			return err
		case header.Typeflag == tar.TypeDir:
			continue
		case header.Typeflag != tar.TypeReg:
			return fmt.Errorf("%q is no regular file", header.Name)
		case seen[clean]:
			return fmt.Errorf("%q is in it twice", clean)
		case header.Size > left:
			return errTooLarge
		}
		seen[clean] = true
		content, err := io.ReadAll(entries)
		if err != nil {
			return err
		}
		left -= int64(len(content))
		a.files = append(a.files, archived{header.Name, clean, content})
	}
}

// cleanName is the path of an entry below the archive's root.
func cleanName(name string) (string, error) {
	const longest = 1024
	switch {
	case len(name) > longest || !utf8.ValidString(name) || strings.ContainsAny(name, "\\\x00"):
		return "", errors.New("a file's name is too long, no UTF-8, or has a backslash")
	case strings.Contains("/"+name+"/", "/../"):
		return "", fmt.Errorf("%q leads out of the bundle", name)
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/"), nil
}

// explainArchive leaves out how the archive's formats call what is wrong.
func explainArchive(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errTruncated
	case errors.Is(err, tar.ErrHeader), errors.Is(err, gzip.ErrHeader):
		return errNoArchive
	case errors.Is(err, gzip.ErrChecksum), strings.HasPrefix(err.Error(), "flate: "):
		return errors.New("the archive is damaged")
	}
	return err
}

// bounded is a stream that fails once it is too long.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// NextFile is the next file for OPA.
func (a *archive) NextFile() (*bundle.Descriptor, error) {
	if a.next == len(a.files) {
		return nil, io.EOF
	}
	f := a.files[a.next]
	a.next++
	return bundle.NewDescriptor(f.name, f.name, bytes.NewBuffer(f.content)), nil
}

// WithFilter and the rest have nothing to change here: all is in memory, and of one kind.
func (a *archive) WithFilter(filter.LoaderFilter) bundle.DirectoryLoader   { return a }
func (a *archive) WithPathFormat(bundle.PathFormat) bundle.DirectoryLoader { return a }
func (a *archive) WithSizeLimitBytes(int64) bundle.DirectoryLoader         { return a }
func (a *archive) WithFollowSymlinks(bool) bundle.DirectoryLoader          { return a }

package bundle

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

	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/loader/filter"

	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

const (
	// maxCompressed bounds a bundle as it is sent and kept.
	maxCompressed = files.MaxBytes
	// maxUnpacked bounds what the archive unpacks to: the files, and the headers that tar has for each.
	maxUnpacked = files.MaxBytes + files.MaxCount*2048
)

var (
	errNotArchive   = errors.New("it is not a gzipped tar archive")
	errLargeArchive = errors.New("the archive has more than 64 MiB")
	errTruncated    = errors.New("the archive is truncated")
)

// archive is an unpacked bundle. It is also the loader that OPA reads it with: its bounds are for the whole archive, and
// those of OPA's own loader are for each file.
type archive struct {
	files []archived
	next  int
}

type archived struct {
	files.File
	name string // in the archive, and in the signature
}

// unpack reads an archive. It refuses names that lead out of the archive or that could be read in different ways.
func unpack(compressed []byte) (*archive, error) {
	if len(compressed) > maxCompressed {
		return nil, errLargeArchive
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, errNotArchive
	}
	stream := &bounded{r: unzipped, left: maxUnpacked}
	a := &archive{}
	if err := a.read(tar.NewReader(stream)); err != nil {
		return nil, explainArchive(err)
	}
	// read to the end, where the checksum is
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return nil, explainArchive(err)
	}
	return a, nil
}

func (a *archive) read(entries *tar.Reader) error {
	left := int64(files.MaxBytes)
	seen := make(map[string]bool)
	for n := 0; ; n++ {
		header, err := entries.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n == files.MaxCount:
			return fmt.Errorf("more than %d files", files.MaxCount)
		case header.Typeflag == tar.TypeXGlobalHeader: // a comment on the archive itself
			continue
		}
		clean, err := cleanName(header.Name)
		switch {
		case err != nil:
			return err
		case header.Typeflag == tar.TypeDir:
			continue
		case header.Typeflag != tar.TypeReg:
			return fmt.Errorf("%q is not a regular file", header.Name)
		case seen[clean]:
			return fmt.Errorf("%q is in it twice", clean)
		case header.Size > left:
			return files.ErrTooLarge
		}
		seen[clean] = true
		content, err := io.ReadAll(entries)
		if err != nil {
			return err
		}
		left -= int64(len(content))
		a.files = append(a.files, archived{files.File{Name: clean, Path: clean, Content: content}, header.Name})
	}
}

// cleanName returns the path of an entry below the archive's root.
func cleanName(name string) (string, error) {
	const longest = 1024
	switch {
	case len(name) > longest || !utf8.ValidString(name) || strings.ContainsAny(name, "\\\x00"):
		return "", errors.New("a file's name is too long, is not UTF-8, or has a backslash")
	case strings.Contains("/"+name+"/", "/../"):
		return "", fmt.Errorf("%q leads out of the bundle", name)
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/"), nil
}

// explainArchive replaces the terms of the archive's formats.
func explainArchive(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errTruncated
	case errors.Is(err, tar.ErrHeader), errors.Is(err, gzip.ErrHeader):
		return errNotArchive
	case errors.Is(err, gzip.ErrChecksum), strings.HasPrefix(err.Error(), "flate: "):
		return errors.New("the archive is damaged")
	}
	return err
}

// bounded is a stream that fails after a number of bytes.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, files.ErrTooLarge
	}
	return n, err
}

// NextFile returns the next file to OPA, whose parser of JSON does not ignore a byte order mark.
func (a *archive) NextFile() (*opa.Descriptor, error) {
	if a.next == len(a.files) {
		return nil, io.EOF
	}
	f := a.files[a.next]
	a.next++
	return opa.NewDescriptor(f.name, f.name, bytes.NewBuffer(files.WithoutMark(f.Content))), nil
}

// WithFilter and the other options of a loader have no effect: all files are in memory.
func (a *archive) WithFilter(filter.LoaderFilter) opa.DirectoryLoader { return a }
func (a *archive) WithPathFormat(opa.PathFormat) opa.DirectoryLoader  { return a }
func (a *archive) WithSizeLimitBytes(int64) opa.DirectoryLoader       { return a }
func (a *archive) WithFollowSymlinks(bool) opa.DirectoryLoader        { return a }

package opacli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/loader"

	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

// maxBundle limits the unpacked files of a bundle, in bytes. Package policy has the same limit.
const maxBundle = 64 << 20

// dataFiles are the files of a bundle that OPA takes for data.
var dataFiles = []string{"data.json", "data.yaml", "data.yml"}

// readVisibleFiles is readBundleFiles without files whose names, or those of their folders, begin with a dot. The server
// leaves them out.
func readVisibleFiles(name string, filter loader.Filter) ([]files.File, error) {
	found, err := readBundleFiles(name, filter)
	return slices.DeleteFunc(found, func(f files.File) bool { return strings.Contains("/"+strings.TrimPrefix(f.Path, name), "/.") }), err
}

// readBundleFiles reads the modules and data of a bundle, which is a folder or a .tar.gz, without parsing them.
func readBundleFiles(name string, filter loader.Filter) ([]files.File, error) {
	reader, _, err := loader.GetBundleDirectoryLoaderWithFilter(name, filter)
	if err != nil {
		return nil, err
	}
	reader = reader.WithSizeLimitBytes(maxBundle)
	var found []files.File
	var left int64 = maxBundle
	for {
		file, err := reader.NextFile()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("bundle %s: %w", name, err)
		}
		var content bytes.Buffer
		if path.Ext(file.Path()) == bundle.RegoExt || slices.Contains(dataFiles, path.Base(file.Path())) {
			_, err = file.Read(&content, left+1)
			found = append(found, files.File{Name: file.URL(), Path: filepath.ToSlash(file.Path()), Content: content.Bytes()})
		}
		file.Close()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("bundle %s: %w", name, err)
		}
		if left -= int64(content.Len()); left < 0 {
			return nil, fmt.Errorf("bundle %s: the files have more than 64 MiB", name)
		}
	}
}

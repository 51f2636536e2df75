package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// reloadBundle is Reload for bundles. The caller holds the watch.
func (e *Engine) reloadBundle() (changed bool, err error) {
	if e.bundle.remote != nil {
		return e.bundle.remote.news.take()
	}
	changed, err = e.reloadBundleFile(e.bundle.cfg.Location)
	if err != nil {
		err = e.bundle.fault(err)
	}
	return changed, err
}

// reloadBundleFile looks at the bundle as Reload does at files.
func (e *Engine) reloadBundleFile(name string) (changed bool, err error) {
	w := &e.watch
	found, err := statBundle(name)
	if err != nil {
		w.seen = nil
		return false, w.once(err.Error(), err)
	}
	if w.isUnchanged(found) {
		return false, nil
	}
	w.seen, w.seenAt = nil, w.now()
	content, found, err := readSettledBundle(name, found)
	if err != nil {
		return false, w.once(err.Error(), err)
	}
	w.seen = found
	b, err := e.bundle.read(content)
	if err != nil {
		return false, w.once(err.Error(), err)
	}
	return e.replace(b.sources, b.revision)
}

// statBundle is the bundle in the form in which a watch remembers files.
func statBundle(name string) ([]source, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file; a folder is for policy paths")
	}
	return []source{{name: name, rel: filepath.Base(name), info: info}}, nil
}

// readSettledBundle reads a file, and once more when it was being written meanwhile.
func readSettledBundle(name string, found []source) (content []byte, now []source, err error) {
	for range 3 {
		read := found[0]
		if err := read.read(maxCompressed); err != nil {
			return nil, nil, fmt.Errorf("reading: %w", err)
		}
		again, err := statBundle(name)
		if err != nil {
			return nil, nil, err
		}
		if sameFiles(found, again) {
			return read.content, again, nil
		}
		found = again
	}
	return nil, nil, errors.New("the file keeps changing")
}

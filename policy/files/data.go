package files

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Data merges data files into one document. As in OPA, the names of a file's folders place its document: teams/roles.yaml
// is merged into data.teams. Two files that give a value to the same path are an error.
func Data(files []File) (map[string]any, error) {
	root := make(map[string]any)
	left := newBudget()
	var errs []error
	for _, f := range files {
		if f.IsRego() {
			continue
		}
		document, err := f.document(left)
		if err == nil {
			err = f.merge(root, document, nil)
		}
		if err != nil {
			errs = append(errs, err)
		}
		if left.isSpent() {
			break // all other files would be refused, too
		}
	}
	return root, errors.Join(errs...)
}

// document parses a data file, and puts its content below the names of its folders.
func (f File) document(left *budget) (map[string]any, error) {
	parsed, err := f.parse(left)
	if err != nil {
		return nil, err
	}
	document, ok := parsed.(map[string]any)
	if !ok {
		return nil, f.fault(1, errors.New("the document is not an object"))
	}
	if dir := path.Dir(f.Path); dir != "." {
		for _, folder := range slices.Backward(strings.Split(dir, "/")) {
			document = map[string]any{folder: document}
		}
	}
	if _, taken := document["m2m"]; taken {
		return nil, fmt.Errorf("%s: data.m2m belongs to the packages that ship", f.Name)
	}
	return document, nil
}

func (f File) merge(into, from map[string]any, at []string) error {
	for key, value := range from {
		here := append(at[:len(at):len(at)], key)
		old, exists := into[key]
		if !exists {
			into[key] = value
			continue
		}
		oldObject, oldOK := old.(map[string]any)
		object, ok := value.(map[string]any)
		if !oldOK || !ok {
			return fmt.Errorf("%s: data.%s already has a value from another file", f.Name, strings.Join(here, "."))
		}
		if err := f.merge(oldObject, object, here); err != nil {
			return err
		}
	}
	return nil
}

package policy

import (
	"errors"
	"fmt"
	"strings"
)

// loadData merges data files into one document. A file's document stands below the names of its
// folders, as OPA has it: teams/roles.yaml is merged into data.teams. Where two files give a value
// to the same path, neither wins: that is an error.
func loadData(sources []source) (map[string]any, error) {
	root := make(map[string]any)
	left := newBudget()
	var errs []error
	for _, s := range sources {
		if s.isRego() {
			continue
		}
		document, err := s.document(left)
		if err == nil {
			err = s.merge(root, document, nil)
		}
		if err != nil {
			errs = append(errs, err)
		}
		if left.isSpent() {
			break // what follows would be refused for nothing but that
		}
	}
	return root, errors.Join(errs...)
}

// document parses a data file, and puts what it holds below its folders.
func (s source) document(left *budget) (map[string]any, error) {
	parsed, err := s.parse(left)
	if err != nil {
		return nil, err
	}
	document, ok := parsed.(map[string]any)
	if !ok {
		return nil, s.fault(1, errors.New("the document is no object"))
	}
	folders := s.folder()
	for i := len(folders) - 1; i >= 0; i-- {
		document = map[string]any{folders[i]: document}
	}
	if _, taken := document["m2m"]; taken {
		return nil, fmt.Errorf("%s: data.m2m belongs to the packages that ship", s.name)
	}
	return document, nil
}

func (s source) merge(into, from map[string]any, at []string) error {
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
			return fmt.Errorf("%s: data.%s already has a value from another file", s.name, strings.Join(here, "."))
		}
		if err := s.merge(oldObject, object, here); err != nil {
			return err
		}
	}
	return nil
}

package policy

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/open-policy-agent/opa/v1/util"
)

// loadData merges data files into one document. A file's document stands below the names of its
// folders, as OPA has it: teams/roles.yaml is merged into data.teams. Where two files give a value
// to the same path, neither wins: that is an error.
func loadData(sources []source) (map[string]any, error) {
	root := make(map[string]any)
	var errs []error
	for _, s := range sources {
		if s.isRego() {
			continue
		}
		document, err := s.document()
		if err == nil {
			err = merge(root, document, nil)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return root, errors.Join(errs...)
}

// document parses a data file, and puts what it holds below its folders.
func (s source) document() (map[string]any, error) {
	var parsed any
	if err := unmarshal(s, &parsed); err != nil {
		return nil, fmt.Errorf("parsing data: %w", err)
	}
	document, ok := parsed.(map[string]any)
	if !ok {
		return nil, errors.New("parsing data: the document is no object")
	}
	folders := s.folder()
	for i := len(folders) - 1; i >= 0; i-- {
		document = map[string]any{folders[i]: document}
	}
	if _, taken := document["m2m"]; taken {
		return nil, errors.New("data.m2m belongs to the packages that ship")
	}
	return document, nil
}

func unmarshal(s source, v any) error {
	if path.Ext(s.rel) == ".json" {
		return util.UnmarshalJSON(s.content, v)
	}
	return util.Unmarshal(s.content, v)
}

func merge(into, from map[string]any, at []string) error {
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
			return fmt.Errorf("data.%s already has a value from another file", strings.Join(here, "."))
		}
		if err := merge(oldObject, object, here); err != nil {
			return err
		}
	}
	return nil
}

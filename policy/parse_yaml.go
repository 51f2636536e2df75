package policy

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"

	"github.com/open-policy-agent/opa/v1/util"
	"go.yaml.in/yaml/v3"
)

// checkYAML finds syntax errors, repeated keys and further documents.
func (s source) checkYAML() error {
	documents := yaml.NewDecoder(bytes.NewReader(s.content))
	var first, second yaml.Node
	if err := documents.Decode(&first); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return s.yamlFault(err)
	}
	if err := documents.Decode(&second); err == nil {
		return s.fault(second.Line, errSecondDocument)
	} else if !errors.Is(err, io.EOF) {
		return s.yamlFault(err)
	}
	return s.checkKeys(&first)
}

func (s source) checkKeys(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			key, err := keyOf(n.Content[i])
			if err == nil && seen[key] {
				err = errRepeated(key)
			}
			if err != nil {
				return s.fault(n.Content[i].Line, yamlMessage(err))
			}
			seen[key] = true
		}
	}
	for _, child := range n.Content {
		if err := s.checkKeys(child); err != nil {
			return err
		}
	}
	return nil
}

// keyOf is the name under which OPA keeps the value of a key, which may be written in several ways.
func keyOf(key *yaml.Node) (string, error) {
	if key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	if key.Tag == "!!str" || key.Tag == "!!merge" {
		return key.Value, nil
	}
	null := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	alone, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, null}})
	if err != nil {
		return "", err
	}
	var decoded map[string]any
	if err := util.Unmarshal(alone, &decoded); err != nil {
		return "", err
	}
	for name := range decoded {
		return name, nil
	}
	return "", errors.New("a key has no name")
}

var (
	yamlError     = regexp.MustCompile(`^yaml: (?:unmarshal errors:\n  )?(?:line (\d+): )?(.*)`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.+)' referenced`)
	// ofParser are the errors of the YAML library's parser, which, unlike its scanner, counts lines
	// from 0.
	ofParser = regexp.MustCompile(`^did not find expected (?:<|node content|key|'-|',)`)
)

// yamlFault takes the line out of the library's text, where it is not the first, or looks for it.
func (s source) yamlFault(err error) error {
	line, parts := 1, yamlError.FindStringSubmatch(err.Error())
	if parts == nil {
		return s.fault(line, err)
	}
	if n, err := strconv.Atoi(parts[1]); err == nil {
		line = n
		if ofParser.MatchString(parts[2]) {
			line = min(n+1, s.lineAt(int64(len(s.content))))
		}
	} else if anchor := unknownAnchor.FindStringSubmatch(parts[2]); anchor != nil {
		line = s.lineAt(int64(max(0, bytes.Index(s.content, []byte("*"+anchor[1])))))
	}
	return s.fault(line, errors.New(parts[2]))
}

// yamlMessage leaves out what the library says of the place.
func yamlMessage(err error) error {
	if parts := yamlError.FindStringSubmatch(err.Error()); parts != nil {
		return errors.New(parts[2])
	}
	return err
}

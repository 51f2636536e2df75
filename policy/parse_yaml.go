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

// checkYAML finds syntax errors, repeated keys and further documents. The library builds a file's
// nodes all at once, so that their number is estimated before.
func (s source) checkYAML(left *budget) error {
	if estimateNodes(s.content) > left.values {
		return s.fault(1, errTooMany)
	}
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
	for _, root := range first.Content {
		if err := s.checkNode(root, 1, left); err != nil {
			return err
		}
	}
	return nil
}

// estimateNodes counts what begins a node in YAML. There are at most about twice as many nodes; there
// may be fewer, for text between quotes counts, too.
func estimateNodes(content []byte) int {
	nodes := 1
	for i, c := range content {
		isLast := i+1 == len(content)
		switch c {
		case '[', '{', ',':
			nodes++
		case '-', '?':
			if isLast || isSpace(content[i+1]) {
				nodes++
			}
		case ':':
			if isLast || isSpace(content[i+1]) || i > 0 && bytes.IndexByte([]byte("\"']}"), content[i-1]) >= 0 {
				nodes += 2 // the key and its value
			}
		}
	}
	return nodes
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// checkNode counts what an alias stands for as often as it stands there.
func (s source) checkNode(n *yaml.Node, depth int, left *budget) error {
	line := n.Line
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	err := left.take(len(n.Value))
	if err == nil && n.Kind != yaml.ScalarNode && depth > maxNesting {
		err = errTooDeep
	}
	if err != nil {
		return s.fault(line, err)
	}
	if err := s.checkKeys(n); err != nil {
		return err
	}
	for _, child := range n.Content {
		if err := s.checkNode(child, depth+1, left); err != nil {
			return err
		}
	}
	return nil
}

func (s source) checkKeys(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return nil
	}
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

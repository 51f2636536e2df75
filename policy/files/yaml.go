package files

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"

	"github.com/open-policy-agent/opa/v1/util"
	"go.yaml.in/yaml/v3"
)

// checkYAML finds syntax errors, repeated keys and further documents. The library builds all nodes of a file at once, so
// their number is estimated first.
func (f File) checkYAML(left *budget) error {
	if estimateNodes(f.Content) > left.values {
		return f.fault(1, errTooMany)
	}
	documents := yaml.NewDecoder(bytes.NewReader(f.Content))
	var first, second yaml.Node
	if err := documents.Decode(&first); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return f.yamlFault(err)
	}
	if err := documents.Decode(&second); err == nil {
		return f.fault(second.Line, errSecondDocument)
	} else if !errors.Is(err, io.EOF) {
		return f.yamlFault(err)
	}
	for _, root := range first.Content {
		if err := f.checkNode(root, 1, left); err != nil {
			return err
		}
	}
	return nil
}

// estimateNodes counts what begins a node in YAML. A file has at most about twice as many nodes. It may have fewer,
// because text between quotes is counted, too.
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

// checkNode counts the value of an alias each time the alias is used.
func (f File) checkNode(n *yaml.Node, depth int, left *budget) error {
	line := n.Line
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	err := left.take(len(n.Value))
	if err == nil && n.Kind != yaml.ScalarNode && depth > maxNesting {
		err = errTooDeep
	}
	if err != nil {
		return f.fault(line, err)
	}
	if err := f.checkKeys(n); err != nil {
		return err
	}
	for _, child := range n.Content {
		if err := f.checkNode(child, depth+1, left); err != nil {
			return err
		}
	}
	return nil
}

func (f File) checkKeys(n *yaml.Node) error {
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
			return f.fault(n.Content[i].Line, yamlMessage(err))
		}
		seen[key] = true
	}
	return nil
}

// keyOf returns the name that OPA gives to a key, which may be written in several ways.
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
	// ofParser matches errors of the YAML library's parser, which counts lines from 0; its scanner counts from 1.
	ofParser = regexp.MustCompile(`^did not find expected (?:<|node.Content|key|'-|',)`)
)

// yamlFault takes the line out of the library's text. The text has none for the first line and for unknown anchors.
func (f File) yamlFault(err error) error {
	line, parts := 1, yamlError.FindStringSubmatch(err.Error())
	if parts == nil {
		return f.fault(line, err)
	}
	if n, err := strconv.Atoi(parts[1]); err == nil {
		line = n
		if ofParser.MatchString(parts[2]) {
			line = min(n+1, f.lineAt(int64(len(f.Content))))
		}
	} else if anchor := unknownAnchor.FindStringSubmatch(parts[2]); anchor != nil {
		line = f.lineAt(int64(max(0, bytes.Index(f.Content, []byte("*"+anchor[1])))))
	}
	return f.fault(line, errors.New(parts[2]))
}

// yamlMessage removes the place from the library's text.
func yamlMessage(err error) error {
	if parts := yamlError.FindStringSubmatch(err.Error()); parts != nil {
		return errors.New(parts[2])
	}
	return err
}

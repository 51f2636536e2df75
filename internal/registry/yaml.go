package registry

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readYAML reads one document. It refuses the parts of YAML that make a value differ from its text: anchors, aliases, merge
// keys and tags.
func readYAML(file string, data []byte) (node, error) {
	documents := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := readDocument(documents, &first); errors.Is(err, io.EOF) {
		return node{at: position{1, 1}}, nil
	} else if err != nil {
		return node{}, yamlProblem(file, err)
	}
	if err := readDocument(documents, &second); err == nil {
		return node{}, yamlPosition(&second).problem(file, "a second YAML document: only one is allowed")
	} else if !errors.Is(err, io.EOF) {
		return node{}, yamlProblem(file, err)
	}
	return yamlReader{file}.node(&first)
}

// readDocument returns a panic as an error. The parser panics for some inputs, and it also runs where a panic would end the
// server.
func readDocument(documents *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the YAML parser failed")
		}
	}()
	return documents.Decode(into)
}

type yamlReader struct{ file string }

func (r yamlReader) node(y *yaml.Node) (node, error) {
	if err := r.refuse(y); err != nil {
		return node{}, err
	}
	n := node{at: yamlPosition(y)}
	var err error
	switch y.Kind {
	case yaml.DocumentNode:
		return r.node(y.Content[0])
	case yaml.MappingNode:
		n.kind = mappingKind
		n.children, err = r.nodes(y.Content)
	case yaml.SequenceNode:
		n.kind = listKind
		n.children, err = r.nodes(y.Content)
	default:
		n.kind, n.text = yamlScalar(y)
	}
	return n, err
}

func (r yamlReader) nodes(content []*yaml.Node) ([]node, error) {
	nodes := make([]node, 0, len(content))
	for _, y := range content {
		n, err := r.node(y)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func (r yamlReader) refuse(y *yaml.Node) error {
	what := ""
	switch {
	case y.Kind == yaml.AliasNode:
		what = "an alias"
	case y.Anchor != "":
		what = "an anchor"
	case y.Style&yaml.TaggedStyle != 0:
		what = "a tag"
	case y.Tag == "!!merge":
		what = "a merge key"
	default:
		return nil
	}
	return yamlPosition(y).problem(r.file, what+": YAML's anchors, aliases, merge keys and tags are not supported")
}

func yamlScalar(y *yaml.Node) (kind, string) {
	switch y.Tag {
	case "!!null":
		return nullKind, ""
	case "!!bool":
		return boolKind, strings.ToLower(y.Value)
	case "!!int", "!!float":
		return numberKind, y.Value
	}
	return stringKind, y.Value // including timestamps, as they were written
}

func yamlPosition(y *yaml.Node) position { return position{int32(y.Line), int32(y.Column)} }

var yamlMessage = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// yamlProblem takes the line out of the parser's message. It does not repeat the name of an anchor.
func yamlProblem(file string, err error) error {
	at, msg := position{line: 1}, err.Error()
	if m := yamlMessage.FindStringSubmatch(msg); m != nil {
		if line, err := strconv.ParseInt(m[1], 10, 32); err == nil {
			at.line = int32(line)
		}
		msg = m[2]
	}
	if strings.HasPrefix(msg, "unknown anchor") {
		msg = "an alias of an unknown anchor"
	}
	return at.problem(file, "reading YAML: "+msg)
}

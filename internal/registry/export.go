package registry

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Export writes a registry file in the format "json" or "yaml". It writes each client before it asks for the next, so
// that they need not all be in memory. It returns the first error of clients; the file is then incomplete.
func Export(w io.Writer, format string, resources []*Resource, clients iter.Seq2[*Client, error]) error {
	out := bufio.NewWriter(w)
	e := exporter{out: out, yaml: format == "yaml"}
	e.section("resources", len(resources) == 0)
	for _, r := range resources {
		if err := e.entry(r.Code, r); err != nil {
			return err
		}
	}
	e.endSection()
	next, stop := iter.Pull2(clients)
	defer stop()
	client, err, more := next()
	e.section("clients", !more)
	for ; more; client, err, more = next() {
		if err != nil {
			return err
		}
		if err := e.entry(client.ID, client); err != nil {
			return err
		}
	}
	e.endSection()
	e.end()
	return out.Flush()
}

// exporter writes two sections of entries. The flush at the end returns the error of any write.
type exporter struct {
	out      *bufio.Writer
	yaml     bool
	sections int
	entries  int // in this section
}

func (e *exporter) section(name string, empty bool) {
	e.sections, e.entries = e.sections+1, 0
	switch {
	case !e.yaml && e.sections == 1:
		fmt.Fprintf(e.out, "{\n  %q: {", name)
	case !e.yaml:
		fmt.Fprintf(e.out, ",\n  %q: {", name)
	case empty:
		fmt.Fprintf(e.out, "%s: {}\n", name)
	default:
		fmt.Fprintf(e.out, "%s:\n", name)
	}
}

func (e *exporter) endSection() {
	if e.yaml {
		return
	}
	if e.entries > 0 {
		_, _ = e.out.WriteString("\n  ")
	}
	_, _ = e.out.WriteString("}")
}

func (e *exporter) end() {
	if !e.yaml {
		_, _ = e.out.WriteString("\n}\n")
	}
}

func (e *exporter) entry(id string, entry json.Marshaler) error {
	data, err := entry.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encoding %s: %w", id, err)
	}
	e.entries++
	if e.yaml {
		return e.yamlEntry(id, data)
	}
	name, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", id, err)
	}
	if e.entries > 1 {
		_ = e.out.WriteByte(',')
	}
	_, err = fmt.Fprintf(e.out, "\n    %s: %s", name, data)
	return err
}

// yamlEntry converts JSON, which is also YAML, to YAML in block style, which people can read. Numbers remain as they were
// written.
func (e *exporter) yamlEntry(id string, data []byte) error {
	var document yaml.Node
	if err := yaml.Unmarshal(escapeForYAML(data), &document); err != nil {
		return fmt.Errorf("encoding %s: %w", id, err)
	}
	value := document.Content[0]
	toBlocks(value)
	name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: id}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := encoder.Encode(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{name, value}})
	if err != nil {
		return fmt.Errorf("encoding %s: %w", id, err)
	}
	for line := range bytes.Lines(text.Bytes()) {
		if len(bytes.TrimSpace(line)) > 0 {
			_, _ = e.out.WriteString("  ")
		}
		_, _ = e.out.Write(line)
	}
	return nil
}

// escapeForYAML escapes characters that JSON allows in strings and YAML refuses or reads as line breaks.
func escapeForYAML(data []byte) []byte {
	escaped := make([]byte, 0, len(data))
	for _, r := range string(data) {
		if r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff {
			escaped = fmt.Appendf(escaped, "\\u%04x", r)
			continue
		}
		escaped = utf8.AppendRune(escaped, r)
	}
	return escaped
}

// toBlocks sets the block style, except for lists of scalars, which are readable on one line. Strings are quoted only if
// necessary.
func toBlocks(n *yaml.Node) {
	n.Style = 0
	plain := n.Kind == yaml.SequenceNode
	for _, child := range n.Content {
		toBlocks(child)
		plain = plain && child.Kind == yaml.ScalarNode
	}
	if plain {
		n.Style = yaml.FlowStyle
	}
}

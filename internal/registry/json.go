package registry

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// lateDepth is the depth of the entries of "clients" and "resources". They are read one at a time, when the decoder asks for
// them, because the tree of a whole file would be many times as large as the file.
const lateDepth = 2

// jsonReader reads one value in data: the whole file or an entry.
type jsonReader struct {
	file   string
	data   []byte
	tokens *jsontext.Decoder
	base   int    // the offset in data at which tokens begins
	cursor cursor // the start of the next token
	entry  *jsonReader
}

func readJSON(file string, data []byte) (node, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // a byte order mark, as some editors write it (RFC 8259 §8.1)
	r := newJSONReader(file, data)
	r.entry = newJSONReader(file, data)
	r.begin(cursor{at: position{1, 1}}, len(data))
	if len(bytes.TrimLeft(data, " \t\r\n")) == 0 {
		return node{at: r.cursor.at}, nil
	}
	root, err := r.value(0)
	if err != nil {
		return node{}, r.problem(err)
	}
	r.toNextToken()
	if _, err := r.tokens.ReadToken(); err == nil {
		return node{}, r.cursor.at.problem(file, "something follows the JSON value")
	} else if !errors.Is(err, io.EOF) {
		return node{}, r.problem(err)
	}
	return root, nil
}

func newJSONReader(file string, data []byte) *jsonReader {
	return &jsonReader{file: file, data: data, tokens: jsontext.NewDecoder(&bytes.Buffer{})}
}

// begin sets the reader to the value between the cursor and the offset end. It allows repeated names, because the decoder
// finds them and knows their lines.
func (r *jsonReader) begin(from cursor, end int) {
	r.base, r.cursor = from.offset, from
	r.tokens.Reset(bytes.NewBuffer(r.data[from.offset:end:end]), jsontext.AllowDuplicateNames(true))
}

func (r *jsonReader) value(depth int) (node, error) {
	r.toNextToken()
	next := r.tokens.PeekKind()
	if depth == lateDepth && (next == '{' || next == '[') {
		return r.lateValue(next)
	}
	token, err := r.tokens.ReadToken()
	if err != nil {
		return node{}, err
	}
	n := node{kind: kindOfJSON(next), at: r.cursor.at}
	switch next {
	case '{', '[':
		n.children, err = r.children(depth + 1)
	case 'n':
	default:
		n.text = token.String()
	}
	return n, err
}

func (r *jsonReader) children(depth int) ([]node, error) {
	var children []node
	for {
		if next := r.tokens.PeekKind(); next == '}' || next == ']' {
			_, err := r.tokens.ReadToken()
			return children, err
		}
		child, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		children = append(children, child)
	}
}

// lateValue checks the syntax of a value that is read later.
func (r *jsonReader) lateValue(opening jsontext.Kind) (node, error) {
	if err := r.tokens.SkipValue(); err != nil {
		return node{}, err
	}
	from, end := r.cursor, r.offset()
	load := func() ([]node, *FileError) {
		r.entry.begin(from, end)
		n, err := r.entry.value(lateDepth + 1)
		if err != nil {
			return nil, r.entry.problem(err) // not expected: the syntax was checked
		}
		return n.children, nil
	}
	return node{kind: kindOfJSON(opening), at: from.at, load: load}, nil
}

func (r *jsonReader) offset() int { return r.base + int(r.tokens.InputOffset()) }

// toNextToken moves the cursor over white space, commas and colons. The decoder checks that they are in the right places.
func (r *jsonReader) toNextToken() {
	offset := r.offset()
	for offset < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[offset]) >= 0 {
		offset++
	}
	r.cursor.moveTo(r.data, offset)
}

// problem adds the position to an error of the decoder. It uses the text of the inner error, because the outer one repeats
// names of the file.
func (r *jsonReader) problem(err error) *FileError {
	at, offset := cursor{at: position{1, 1}}, r.offset()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		offset, err = r.base+int(syntax.ByteOffset), syntax.Err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		offset, err = len(r.data), errors.New("the JSON value is not complete")
	}
	at.moveTo(r.data, min(offset, len(r.data)))
	return at.at.problem(r.file, "reading JSON: "+err.Error())
}

func kindOfJSON(k jsontext.Kind) kind {
	switch k {
	case '{':
		return mappingKind
	case '[':
		return listKind
	case '"':
		return stringKind
	case '0':
		return numberKind
	case 't', 'f':
		return boolKind
	}
	return nullKind
}

// cursor is an offset with its line and column.
type cursor struct {
	offset int
	at     position
}

func (c *cursor) moveTo(data []byte, offset int) {
	passed := data[c.offset:max(offset, c.offset)]
	if lines := bytes.Count(passed, []byte("\n")); lines > 0 {
		c.at = position{c.at.line + int32(lines), 1}
		passed = passed[bytes.LastIndexByte(passed, '\n')+1:]
	}
	c.at.column += int32(utf8.RuneCount(passed))
	c.offset = max(offset, c.offset)
}

package files

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/util"
)

var errSecondDocument = errors.New("more than one document")

// byteOrderMark begins files of some editors. A parser may ignore it (RFC 8259 §8.1). The parsers of YAML and of Rego do.
var byteOrderMark = []byte("\ufeff")

// WithoutMark returns the content of a file without a byte order mark.
func WithoutMark(content []byte) []byte { return bytes.TrimPrefix(content, byteOrderMark) }

// parse decodes a data file as OPA does, unless check refuses it.
func (f File) parse(left *budget) (v any, err error) {
	defer f.recoverParser(&err)
	f.Content = WithoutMark(f.Content)
	if err := f.check(left); err != nil {
		return nil, err
	}
	decode := util.Unmarshal
	if f.isJSON() {
		decode = util.UnmarshalJSON
	}
	if err := decode(f.Content, &v); err != nil {
		return nil, f.yamlFault(err)
	}
	return v, nil
}

// check refuses a data file from which OPA would drop values: of repeated keys OPA keeps the last, and of several
// documents the first. It refuses too large files before it builds their values.
func (f File) check(left *budget) (err error) {
	defer f.recoverParser(&err)
	f.Content = WithoutMark(f.Content)
	if f.isJSON() || json.Valid(f.Content) {
		return f.checkJSON(left)
	}
	return f.checkYAML(left)
}

// recoverParser is deferred, because the YAML parser panics on what it takes to be impossible.
func (f File) recoverParser(err *error) {
	if recover() != nil {
		*err = f.fault(1, errors.New("the parser gave up"))
	}
}

func (f File) isJSON() bool { return path.Ext(f.Path) == ".json" }

// checkJSON finds syntax errors and repeated keys.
func (f File) checkJSON(left *budget) error {
	tokens := jsontext.NewDecoder(bytes.NewBuffer(f.Content))
	for isFirst := true; ; isFirst = false {
		isOutside := tokens.StackDepth() == 0
		token, err := tokens.ReadToken()
		switch {
		case errors.Is(err, io.EOF) && !isFirst:
			return nil
		case err != nil:
			return f.jsonFault(err)
		case isOutside && !isFirst:
			return f.fault(f.lineAt(tokens.InputOffset()), errSecondDocument)
		case token.Kind() == '}' || token.Kind() == ']':
			continue
		}
		if err = left.take(0); err == nil && tokens.StackDepth() > maxNesting {
			err = errTooDeep
		}
		if err != nil {
			return f.fault(f.lineAt(tokens.InputOffset()), err)
		}
	}
}

func (f File) jsonFault(err error) error {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) { // the file is empty
		return f.fault(1, io.ErrUnexpectedEOF)
	}
	line := f.lineAt(syntax.ByteOffset)
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return f.fault(line, errRepeated(syntax.JSONPointer.LastToken()))
	}
	return f.fault(line, syntax.Err)
}

func errRepeated(key string) error { return fmt.Errorf("key %q is repeated", key) }

func (f File) lineAt(offset int64) int { return 1 + bytes.Count(f.Content[:offset], []byte("\n")) }

// fault returns an error with its place in the file.
func (f File) fault(line int, err error) error {
	return fmt.Errorf("%s:%d: parsing data: %w", f.Name, line, err)
}

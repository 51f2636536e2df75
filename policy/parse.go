package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

var errSecondDocument = errors.New("more than one document")

// parse decodes a data file as OPA does, but takes none in which some value would be lost: OPA lets
// the last of repeated keys win, and leaves out all documents but the first.
func (s source) parse() (v any, err error) {
	defer func() {
		if recover() != nil { // the YAML parser has panics for what it thinks cannot be
			err = s.fault(1, errors.New("the parser gave up"))
		}
	}()
	isJSON := path.Ext(s.rel) == ".json"
	if isJSON || json.Valid(s.content) {
		err = s.checkJSON()
	} else {
		err = s.checkYAML()
	}
	if err != nil {
		return nil, err
	}
	decode := util.Unmarshal
	if isJSON {
		decode = util.UnmarshalJSON
	}
	if err := decode(s.content, &v); err != nil {
		return nil, s.yamlFault(err)
	}
	return v, nil
}

// checkJSON finds syntax errors and repeated keys.
func (s source) checkJSON() error {
	tokens := jsontext.NewDecoder(bytes.NewReader(s.content))
	if _, err := tokens.ReadValue(); err != nil {
		return s.jsonFault(err)
	}
	if _, err := tokens.ReadToken(); err == nil {
		return s.fault(s.lineAt(tokens.InputOffset()), errSecondDocument)
	} else if !errors.Is(err, io.EOF) {
		return s.jsonFault(err)
	}
	return nil
}

func (s source) jsonFault(err error) error {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) { // nothing was there
		return s.fault(1, io.ErrUnexpectedEOF)
	}
	line := s.lineAt(syntax.ByteOffset)
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return s.fault(line, errRepeated(syntax.JSONPointer.LastToken()))
	}
	return s.fault(line, syntax.Err)
}

func errRepeated(key string) error { return fmt.Errorf("key %q is repeated", key) }

func (s source) lineAt(offset int64) int { return 1 + bytes.Count(s.content[:offset], []byte("\n")) }

// fault is an error with its place in the file.
func (s source) fault(line int, err error) error {
	return fmt.Errorf("%sparsing data: %w", at(ast.NewLocation(nil, s.name, line, 1)), err)
}

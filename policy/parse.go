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

// parse decodes a data file as OPA does, but takes none that check refuses.
func (s source) parse(left *budget) (v any, err error) {
	defer s.recoverParser(&err)
	if err := s.check(left); err != nil {
		return nil, err
	}
	decode := util.Unmarshal
	if s.isJSON() {
		decode = util.UnmarshalJSON
	}
	if err := decode(s.content, &v); err != nil {
		return nil, s.yamlFault(err)
	}
	return v, nil
}

// check refuses a data file in which some value would be lost: OPA lets the last of repeated keys win,
// and leaves out all documents but the first. What is too much is refused before it is built.
func (s source) check(left *budget) (err error) {
	defer s.recoverParser(&err)
	if s.isJSON() || json.Valid(s.content) {
		return s.checkJSON(left)
	}
	return s.checkYAML(left)
}

// recoverParser is deferred: the YAML parser has panics for what it thinks cannot be.
func (s source) recoverParser(err *error) {
	if recover() != nil {
		*err = s.fault(1, errors.New("the parser gave up"))
	}
}

func (s source) isJSON() bool { return path.Ext(s.rel) == ".json" }

// checkJSON finds syntax errors and repeated keys.
func (s source) checkJSON(left *budget) error {
	tokens := jsontext.NewDecoder(bytes.NewBuffer(s.content))
	for isFirst := true; ; isFirst = false {
		isOutside := tokens.StackDepth() == 0
		token, err := tokens.ReadToken()
		switch {
		case errors.Is(err, io.EOF) && !isFirst:
			return nil
		case err != nil:
			return s.jsonFault(err)
		case isOutside && !isFirst:
			return s.fault(s.lineAt(tokens.InputOffset()), errSecondDocument)
		case token.Kind() == '}' || token.Kind() == ']':
			continue
		}
		if err = left.take(0); err == nil && tokens.StackDepth() > maxNesting {
			err = errTooDeep
		}
		if err != nil {
			return s.fault(s.lineAt(tokens.InputOffset()), err)
		}
	}
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

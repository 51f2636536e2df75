package registry

import (
	"bytes"
	"path/filepath"
	"strings"
)

// node is a value of a YAML or a JSON file. Both notations are read into this one tree, so that
// one decoder judges both.
type node struct {
	kind kind
	at   position
	// text is a string's value, a number as it was written, or "true" or "false".
	text string
	// children are a list's items, or a mapping's keys and values in turn.
	children []node
	// load, where it is set, reads the children; they are not kept.
	load func() ([]node, *FileError)
}

type kind uint8

const (
	nullKind kind = iota
	boolKind
	numberKind
	stringKind
	listKind
	mappingKind
)

// String is the kind as it stands in "must be …".
func (k kind) String() string {
	return [...]string{"null", "true or false", "a number", "a string", "a list", "a mapping"}[k]
}

// position is a place in a file; both numbers count from 1, and 0 is unknown.
type position struct{ line, column int32 }

func (at position) problem(file, msg string) *FileError {
	return &FileError{File: file, Line: int(at.line), Column: int(at.column), Msg: msg}
}

// readTree reads a file in the notation that its name, or else its first character, says.
func readTree(name string, data []byte) (node, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json":
		return readJSON(name, data)
	case ".yaml", ".yml":
		return readYAML(name, data)
	}
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return readJSON(name, data)
	}
	return readYAML(name, data)
}

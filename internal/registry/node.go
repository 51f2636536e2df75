package registry

import (
	"bytes"
	"cmp"
	"path/filepath"
	"strings"
)

// node is a value in a YAML or JSON file. Both notations are read into such a tree, so that there is only one decoder.
type node struct {
	kind kind
	at   position
	// text is the value of a string, a number as it was written, or "true" or "false".
	text string
	// children are the items of a list, or alternately the names and values of a mapping.
	children []node
	// load, if set, reads the children, which are not kept.
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

// String returns the kind for messages: "must be …".
func (k kind) String() string {
	return [...]string{"null", "true or false", "a number", "a string", "a list", "a mapping"}[k]
}

// position is a position in a file. Both numbers count from 1; 0 means unknown.
type position struct{ line, column int32 }

func (at position) problem(file, msg string) *FileError {
	return &FileError{File: file, Line: int(at.line), Column: int(at.column), Msg: msg}
}

func (at position) after(other position) bool {
	return cmp.Or(cmp.Compare(at.line, other.line), cmp.Compare(at.column, other.column)) > 0
}

// readTree reads a file. Its name or, for other names, its first character tells the notation.
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

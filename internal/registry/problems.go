package registry

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// maxReported is how many problems of a file are reported. The others are counted.
const maxReported = 10

// FileError is a problem in a registry file. It never holds a secret.
type FileError struct {
	// File is the name that Parse was given.
	File string
	// Line and Column count from 1. 0 means unknown.
	Line, Column int
	// Msg says what is wrong.
	Msg string
}

// Error returns file:line:column: message, as compilers do, without what is unknown.
func (e *FileError) Error() string {
	switch {
	case e.Line == 0:
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	case e.Column == 0:
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// problems collects the problems of a file. It keeps only the first maxReported, so that a file with many problems takes
// little memory.
type problems struct {
	file  string
	first []*FileError
	total int
}

func (p *problems) add(at position, format string, args ...any) {
	p.total++
	full := len(p.first) == maxReported
	if full && comparePositions(p.first[maxReported-1], at) <= 0 {
		return
	}
	e := at.problem(p.file, fmt.Sprintf(format, args...))
	i, _ := slices.BinarySearchFunc(p.first, at, func(e *FileError, at position) int {
		return cmp.Or(comparePositions(e, at), -1) // after those at the same position
	})
	p.first = slices.Insert(p.first, i, e)
	p.first = p.first[:min(len(p.first), maxReported)]
}

func (p *problems) err() error {
	var errs []error
	for _, e := range p.first {
		errs = append(errs, e)
	}
	if more := p.total - len(p.first); more > 0 {
		errs = append(errs, &FileError{File: p.file, Msg: fmt.Sprintf("and %d more problems", more)})
	}
	return errors.Join(errs...)
}

func comparePositions(e *FileError, at position) int {
	return cmp.Or(cmp.Compare(e.Line, int(at.line)), cmp.Compare(e.Column, int(at.column)))
}

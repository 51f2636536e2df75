package files

import (
	"errors"
	"fmt"
)

// Bounds on data and Rego. A value may take a hundred times as much memory as it has bytes in its file, and a term of Rego
// even more, so that files within MaxBytes could still fill the memory.
const (
	maxValues  = 1_000_000 // of all data files together, keys among them
	maxNesting = 100       // objects and lists within each other
	maxRego    = 2 << 20   // bytes of all Rego together, tests among them
)

var (
	errTooMany = fmt.Errorf("more than %d values and keys in the data files", maxValues)
	errTooDeep = fmt.Errorf("objects and lists are nested more than %d deep", maxNesting)
	errTooLong = errors.New("the data have more than 64 MiB, as often as aliases repeat them")
)

// budget counts what the data files of a policy may still have, all together.
type budget struct{ values, bytes int }

func newBudget() *budget { return &budget{values: maxValues, bytes: MaxBytes} }

// take counts a value with its text.
func (b *budget) take(size int) error {
	if b.values--; b.values < 0 {
		return errTooMany
	}
	if b.bytes -= size; b.bytes < 0 {
		return errTooLong
	}
	return nil
}

func (b *budget) isSpent() bool { return b.values < 0 || b.bytes < 0 }

// Check checks files of a bundle before OPA parses them: how much Rego there is, and each data file as [Data] does. It
// counts all data files together.
func Check(files []File) error {
	left := newBudget()
	for _, f := range files {
		if !f.IsRego() {
			if err := f.check(left); err != nil {
				return err
			}
		}
	}
	return checkRego(files)
}

func checkRego(files []File) error {
	size := 0
	for _, f := range files {
		if f.IsRego() {
			size += len(f.Content)
		}
	}
	if size > maxRego {
		return fmt.Errorf("the .rego files have more than %d MiB", maxRego>>20)
	}
	return nil
}

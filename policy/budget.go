package policy

import (
	"errors"
	"fmt"
)

// Bounds on data and Rego. In memory a value may take a hundred times the room that it has in its file,
// and a term of Rego more than that: files within maxBytes could still fill the memory.
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

// budget is what data files may still have, all together.
type budget struct{ values, bytes int }

func newBudget() *budget { return &budget{values: maxValues, bytes: maxBytes} }

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

// checkRego refuses more Rego than there may be.
func checkRego(sources []source) error {
	size := 0
	for _, s := range sources {
		if s.isRego() {
			size += len(s.content)
		}
	}
	if size > maxRego {
		return fmt.Errorf("the .rego files have more than %d MiB", maxRego>>20)
	}
	return nil
}

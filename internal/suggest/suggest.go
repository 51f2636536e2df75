// Package suggest finds the name that a misspelt one was meant to be. Its entry point is [Nearest]. It imports nothing of
// this module.
package suggest

import (
	"iter"

	"github.com/agnivade/levenshtein"
)

// Nearest returns the known name that is nearest to name, or "" if none is near: a name may differ by two edits (one if
// it has fewer than four letters), where swapping two neighbouring letters counts as one. Of equally near names it returns the first
// in alphabetical order.
func Nearest(name string, known iter.Seq[string]) string {
	nearest, distance := "", 0
	for candidate := range known {
		limit := min(2, len(candidate)/2)
		if max(len(name)-len(candidate), len(candidate)-len(name)) > 4*limit { // at most four bytes for a letter
			continue
		}
		d := levenshtein.ComputeDistance(name, candidate)
		if d == 2 && isSwap(name, candidate) {
			d = 1
		}
		if d <= limit && (nearest == "" || d < distance || d == distance && candidate < nearest) {
			nearest, distance = candidate, d
		}
	}
	return nearest
}

// isSwap reports whether two texts differ in the order of two neighbouring letters only.
func isSwap(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	i := 0
	for i < len(a)-1 && a[i] == b[i] {
		i++
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

package registry

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// hint ends the message about an unknown name: with the nearest known one, or else with all of
// them when they are few. As a Stringer it costs nothing for a problem that is not told.
type hint struct {
	name  string
	known iter.Seq[string]
}

func (h hint) String() string {
	if nearest, ok := h.nearest(); ok {
		return fmt.Sprintf(": did you mean %q?", nearest)
	}
	known := slices.Sorted(h.known)
	if len(known) == 0 || len(known) > 10 {
		return ""
	}
	return ": known are " + strings.Join(known, ", ")
}

func (h hint) nearest() (string, bool) {
	if h.name == "" || len(h.name) > maxQuoted {
		return "", false
	}
	best, distance := "", typosIn(h.name)+1
	for known := range h.known {
		d := levenshtein.ComputeDistance(h.name, known)
		if d < distance || d == distance && known < best {
			best, distance = known, d
		}
	}
	return best, best != ""
}

// typosIn is how far the name that was meant may be: a swap of two letters counts two.
func typosIn(name string) int {
	if len(name) < 4 {
		return 1
	}
	return max(2, len(name)/3)
}

const maxQuoted = 64

// quoted is a name of the file as messages show it: not at all when it may be a secret that stands
// in a name's place.
func quoted(name string) string {
	if !isShown(name) {
		return "(not shown)"
	}
	return fmt.Sprintf("%q", name)
}

func isShown(name string) bool {
	return len(name) <= maxQuoted && !strings.Contains(name, secretPrefix)
}

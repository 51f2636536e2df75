package registry

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
)

// suggestion ends the message about an unknown name with the nearest known name, or with all known names if they are few.
// It is a Stringer so that a problem that is not reported costs nothing.
type suggestion struct {
	name  string
	known iter.Seq[string]
}

func (s suggestion) String() string {
	if len(s.name) <= maxQuoted {
		if nearest := suggest.Nearest(s.name, s.known); nearest != "" {
			return fmt.Sprintf(": did you mean %q?", nearest)
		}
	}
	known := slices.Sorted(s.known)
	if len(known) == 0 || len(known) > maxListed {
		return ""
	}
	return ": known are " + strings.Join(known, ", ")
}

// maxListed is how many known names a message lists at most.
const maxListed = 24

const maxQuoted = 64

// quoted returns a name as messages show it. A name that may be a secret in the wrong place is not shown.
func quoted(name string) string {
	if !isShown(name) {
		return "(not shown)"
	}
	return fmt.Sprintf("%q", name)
}

func isShown(name string) bool {
	return len(name) <= maxQuoted && !strings.Contains(name, secretPrefix)
}

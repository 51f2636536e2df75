package decisionlog

import (
	"maps"
	"math"
	"slices"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
)

// maxDecision bounds the bytes of a decision's input and result in the log, with the fields about masks and cuts. The
// other fields are short, so a line has at most 16 KiB.
const maxDecision = 12 << 10

// cutLimit is how much a line shows of a decision that is too large.
type cutLimit struct {
	elements int // of a list
	members  int // of an object
	text     int // bytes
	depth    int // objects and lists further down are empty
}

// cutLimits are tried in order. All keep eight members of an object, because objects with fixed members have no more.
var cutLimits = []cutLimit{
	{100, 100, 1 << 10, 32}, {50, 50, 1 << 10, 32}, {50, 50, 256, 32}, {20, 20, 256, 16}, {20, 20, 64, 16}, {8, 8, 64, 8}, {3, 8, 64, 6}, {1, 8, 32, 4},
}

// These bound the field cut: the number of its places, the names that lead to a place, and the bytes of a name.
const (
	maxCuts     = 20
	maxCutNames = 6
	maxCutName  = 64
)

// cutMark ends a text that was cut. A scope cannot contain it (RFC 6749 §3.3), so a cut scope does not look like another.
const cutMark = "…"

// cuts counts what was left out at each place: elements of a list, members of an object, or bytes of a text. A place is
// the names that lead to it, with * for each element of a list. Its count is the sum over all these elements.
type cuts map[string]int

// noLimit cuts nothing.
var noLimit = cutLimit{math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt}

// cutToFit returns as much of the fields' members as fits, and what was left out: nil if all of it fits. It counts before it
// copies, because the event may be much larger than its line. And it reports whether each text that is kept is whole.
func cutToFit(fields []zap.Field) (kept map[string]any, left cuts, whole bool) {
	if newCutter(noLimit, false).take(fields) {
		return nil, nil, true
	}
	for _, limit := range cutLimits {
		if c := newCutter(limit, false); c.take(fields) && c.size+c.cuts.size() <= maxDecision {
			c = newCutter(limit, true)
			c.take(fields)
			return c.object, c.cuts, !c.cutText
		}
	}
	none := make(cuts)
	for _, field := range fields {
		if field.Type != zapcore.SkipType {
			none[field.Key] = 1
		}
	}
	return nil, none.bounded(), true
}

// placeIn returns the place of a member. A member that is too deep or has a long name counts for its object's place.
func placeIn(place, name string) string {
	if strings.Count(place, ".")+1 >= maxCutNames || len(name) > maxCutName {
		return place
	}
	return place + "." + name
}

// bounded returns the cuts with at most maxCuts places. The last one is the sum of all others.
func (c cuts) bounded() cuts {
	if len(c) <= maxCuts {
		return c
	}
	bounded := make(cuts)
	for i, place := range slices.Sorted(maps.Keys(c)) {
		if i >= maxCuts-1 {
			bounded["others"] += c[place]
			continue
		}
		bounded[place] = c[place]
	}
	return bounded
}

func (c cuts) size() int { return logmask.Size(map[string]int(c)) }

// cut shortens an event that is too large for a line. The event must be masked before, because a mask must see all of
// what it judges.
func (e *Event) cut() {
	kept, left, whole := cutToFit(e.fields())
	if left == nil {
		return
	}
	// the rest of a text may look like a credential, and so may names in a row
	e.clean = e.clean && whole && !logmask.HasCredential(zap.Reflect("cut", left))
	e.input, e.result = memberField(kept, "input"), memberField(kept, "result")
	e.changes = []zap.Field{memberField(kept, "erased"), memberField(kept, "masked"), memberField(kept, "mask_error"), zap.Reflect("cut", left)}
}

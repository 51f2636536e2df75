package decisionlog

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

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

// cutter makes a copy within limits.
type cutter struct {
	cutLimit
	cuts cuts
}

// cutToFit returns as much of an event's members as fits, and what was left out: nil if all of it fits. It does not
// change the members.
func cutToFit(all map[string]any) (map[string]any, cuts) {
	if logmask.Size(all) <= maxDecision {
		return all, nil
	}
	for _, limit := range cutLimits {
		c := &cutter{limit, make(cuts)}
		kept := make(map[string]any, len(all))
		for name, value := range all {
			kept[name] = c.value(value, name, 1)
		}
		c.cuts = c.cuts.bounded()
		if logmask.Size(kept)+c.cuts.size() <= maxDecision {
			return kept, c.cuts
		}
	}
	none := make(cuts)
	for name := range all {
		none[name] = 1
	}
	return nil, none.bounded()
}

func (c *cutter) value(value any, place string, depth int) any {
	switch value := value.(type) {
	case string:
		return c.string(value, place)
	case []any:
		return c.list(value, place, depth)
	case map[string]any:
		return c.object(value, place, depth)
	}
	if size := logmask.Size(value); size > c.text { // a long number
		c.note(place, size)
		return nil
	}
	return value
}

func (c *cutter) string(text, place string) string {
	if len(text) <= c.text {
		return text
	}
	n := c.text
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	c.note(place, len(text)-n)
	return text[:n] + cutMark
}

func (c *cutter) list(list []any, place string, depth int) []any {
	n := min(len(list), c.elements)
	if depth > c.depth {
		n = 0
	}
	kept := make([]any, n)
	for i := range kept {
		kept[i] = c.value(list[i], placeIn(place, "*"), depth+1)
	}
	c.note(place, len(list)-n)
	return kept
}

func (c *cutter) object(object map[string]any, place string, depth int) map[string]any {
	kept := make(map[string]any)
	for _, name := range sortedNames(nil, object) {
		if len(kept) < c.members && len(name) <= c.text && depth <= c.depth {
			kept[name] = c.value(object[name], placeIn(place, name), depth+1)
		}
	}
	c.note(place, len(object)-len(kept))
	return kept
}

func (c *cutter) note(place string, left int) {
	if left > 0 {
		c.cuts[place] += left
	}
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
	all := zapcore.NewMapObjectEncoder()
	for _, field := range e.fields() {
		field.AddTo(all)
	}
	kept, cuts := cutToFit(all.Fields)
	if cuts == nil {
		return
	}
	e.input, e.result = memberField(kept, "input"), memberField(kept, "result")
	e.changes = []zap.Field{memberField(kept, "erased"), memberField(kept, "masked"), memberField(kept, "mask_error"), zap.Reflect("cut", cuts)}
}

package decisionlog

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// slowCutter makes a copy within limits of an event that has been converted to maps and lists.
type slowCutter struct {
	cutLimit
	cuts cuts
}

// slowCutToFit returns as much of an event's members as fits, and what was left out: nil if all of it fits. It does not
// change the members.
func slowCutToFit(all map[string]any) (map[string]any, cuts) {
	if logmask.Size(all) <= maxDecision {
		return all, nil
	}
	for _, limit := range cutLimits {
		c := &slowCutter{limit, make(cuts)}
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

func (c *slowCutter) value(value any, place string, depth int) any {
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

func (c *slowCutter) string(text, place string) string {
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

func (c *slowCutter) list(list []any, place string, depth int) []any {
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

func (c *slowCutter) object(object map[string]any, place string, depth int) map[string]any {
	kept := make(map[string]any)
	for _, name := range sortedNames(nil, object) {
		if len(kept) < c.members && len(name) <= c.text && depth <= c.depth {
			kept[name] = c.value(object[name], placeIn(place, name), depth+1)
		}
	}
	c.note(place, len(object)-len(kept))
	return kept
}

func (c *slowCutter) note(place string, left int) {
	if left > 0 {
		c.cuts[place] += left
	}
}

// TestCutEqualsSlowCut: what is cut while it is encoded is what is cut of a copy.
func TestCutEqualsSlowCut(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	cut := 0
	for range 300 {
		fields := randomFields(r)
		all := zapcore.NewMapObjectEncoder()
		for _, field := range fields {
			field.AddTo(all)
		}
		want, wantCuts := slowCutToFit(all.Fields)
		kept, got, _ := cutToFit(fields)
		if wantCuts == nil {
			want = nil // the fields stay as they are
		} else {
			cut++
		}
		if !reflect.DeepEqual(kept, want) || !reflect.DeepEqual(got, wantCuts) {
			t.Fatalf("seed %d: got %v, cut %v; want %v, cut %v", seed, kept, got, want, wantCuts)
		}
	}
	if cut < 30 {
		t.Errorf("seed %d: only %d events were cut", seed, cut)
	}
}

// randomFields are of an event, which may be masked.
func randomFields(r *rand.Rand) []zap.Field {
	in := &policy.TokenInput{
		Issuer: randomText(r), Client: &policy.Client{ID: randomText(r), Attributes: randomObject(r, 3), Audiences: randomTexts(r), Grants: make([]scope.Grant, r.IntN(250))},
		Scopes: make([]scope.Scope, r.IntN(120)), Resources: make(map[string]*policy.Resource),
	}
	for i := range in.Client.Grants {
		in.Client.Grants[i] = scope.Grant{Resource: fmt.Sprint("r", i), Identifiers: randomTexts(r), Actions: []string{"read"}}
	}
	for i := range in.Scopes {
		in.Scopes[i] = scope.Scope{Raw: randomText(r), Resource: "book", Identifier: fmt.Sprint(i), Action: "read"}
	}
	for range r.IntN(120) {
		in.Resources[randomText(r)] = &policy.Resource{Actions: randomTexts(r), Attributes: randomObject(r, 2)}
	}
	d := &policy.TokenDecision{Granted: randomTexts(r), Claims: randomObject(r, 5)}
	fields := []zap.Field{zap.Object("input", (*loggedTokenInput)(in)), zap.Object("result", (*loggedTokenDecision)(d))}
	if r.IntN(3) > 0 {
		return fields
	}
	line := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(line)
	}
	return []zap.Field{
		memberField(line.Fields, "input"), memberField(line.Fields, "absent"), zap.Strings("masked", randomTexts(r)), zap.String("mask_error", randomText(r)),
	}
}

func randomTexts(r *rand.Rand) []string {
	n := r.IntN(4)
	if r.IntN(30) == 0 {
		n = r.IntN(200)
	}
	texts := make([]string, n)
	for i := range texts {
		texts[i] = randomText(r)
	}
	return texts
}

func randomText(r *rand.Rand) string {
	n := r.IntN(12)
	if r.IntN(50) == 0 {
		n = r.IntN(1500)
	}
	return strings.Repeat([]string{"a", "é", "\"", ".", "x.y", "\x01", "\xff", "\u2028"}[r.IntN(8)], n) + fmt.Sprint(r.IntN(1000))
}

func randomObject(r *rand.Rand, depth int) map[string]any {
	object := make(map[string]any)
	for range r.IntN(6) {
		object[randomText(r)] = randomValue(r, depth)
	}
	return object
}

func randomValue(r *rand.Rand, depth int) any {
	if depth == 0 {
		return randomText(r)
	}
	switch r.IntN(8) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return json.Number(strings.Repeat("9", 1+r.IntN(100)))
	case 3:
		return randomObject(r, depth-1)
	case 4:
		list := make([]any, r.IntN(5))
		for i := range list {
			list[i] = randomValue(r, depth-1)
		}
		return list
	case 5:
		return r.Float64()
	}
	return randomText(r)
}

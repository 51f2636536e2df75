package logmask

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
)

// TestAppendJSON compares with json.Marshal.
func TestAppendJSON(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	texts := []string{"", "a", "token", "<&>", "\u2028é", "\xff", "\x00\x7f", `"quoted" \\`, "m2m_abc", "d"}
	var value func(depth int) any
	value = func(depth int) any {
		kinds := 9
		if depth == 0 {
			kinds = 7
		}
		switch r.IntN(kinds) {
		case 0:
			return nil
		case 1:
			return r.IntN(2) == 0
		case 2:
			return json.Number([]string{"1", "-2.5e3", "", "x"}[r.IntN(16)/5])
		case 3:
			return r.NormFloat64()
		case 4:
			return []any{map[string]any(nil), []any(nil), []string{"<"}, map[string]int{"b": 1, "a": 2}}[r.IntN(4)]
		case 5, 6:
			return texts[r.IntN(len(texts))]
		case 7:
			list := make([]any, r.IntN(4))
			for i := range list {
				list[i] = value(depth - 1)
			}
			return list
		}
		object := make(map[string]any)
		for range r.IntN(12) {
			object[texts[r.IntN(len(texts))]] = value(depth - 1)
		}
		return object
	}
	for range 20_000 {
		v := value(4)
		want, wantErr := json.Marshal(v)
		got, err := appendJSON(nil, v)
		if (err == nil) != (wantErr == nil) || err == nil && string(got) != string(want) {
			t.Fatalf("seed %d: %#v:\n got %s, %v\nwant %s, %v", seed, v, got, err, want, wantErr)
		}
	}
}

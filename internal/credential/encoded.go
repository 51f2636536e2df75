package credential

import (
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/percent"
)

// decodings is how many times percent-encoding is undone. A proxy and its upstream may each undo it once.
const decodings = 2

// maxTracked bounds the texts in which the position of each encoded credential is tracked. A longer text is masked from its
// first encoded credential to its end.
const maxTracked = 64 << 10

// findEncoded finds percent-encoded credentials (RFC 3986 §2.1).
func findEncoded(text string, finders []finder, found []span) []span {
	decoded, at := text, []int32(nil)
	for level := range decodings {
		var changed bool
		if decoded, at, changed = decode(decoded, at, len(text) <= maxTracked); !changed {
			return found
		}
		spans := findPlain(decoded, classesOf(decoded), finders)
		if len(spans) > 0 && len(text) > maxTracked {
			found = append(found, span{placeOf(text, disjoint(spans)[0].from, level+1), len(text), Secret})
			continue
		}
		for _, s := range spans {
			found = append(found, span{int(at[s.from]), int(at[s.to]), s.mask})
		}
	}
	return found
}

// placeOf returns the position in text of a byte at a position of the text after a number of decodings.
func placeOf(text string, place, decodings int) int {
	if decodings > 1 {
		once, _, _ := decode(text, nil, false)
		place = placeOf(once, place, decodings-1)
	}
	at := 0
	for range place {
		if _, ok := percent.Decode(text[at:]); ok {
			at += len("%00")
		} else {
			at++
		}
	}
	return at
}

// decode undoes percent-encoding where it is well-formed and leaves the rest. The slice at has the position in the original
// text of each byte and of the end. It is nil for the original text.
func decode(text string, at []int32, track bool) (decoded string, from []int32, changed bool) {
	if strings.IndexByte(text, '%') < 0 {
		return text, at, false
	}
	var b strings.Builder
	if track {
		from = make([]int32, 0, len(text)+1)
	}
	place := func(i int) int32 {
		if at == nil {
			return int32(i)
		}
		return at[i]
	}
	for i := 0; i < len(text); {
		if track {
			from = append(from, place(i))
		}
		if c, ok := percent.Decode(text[i:]); ok {
			b.WriteByte(c)
			i, changed = i+len("%00"), true
			continue
		}
		b.WriteByte(text[i])
		i++
	}
	if track {
		from = append(from, place(len(text)))
	}
	return b.String(), from, changed
}

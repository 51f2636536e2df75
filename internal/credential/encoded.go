package credential

import "strings"

// decodings is how often percent-encoding is undone. A proxy and what is behind it may each undo it once.
const decodings = 2

// maxTracked bounds the texts in which an encoded credential is located. A longer text that holds one is masked as a
// whole.
const maxTracked = 64 << 10

// findEncoded finds what stands in a text percent-encoded (RFC 3986 §2.1).
func findEncoded(text string, finders []finder, found []span) []span {
	decoded, at := text, []int32(nil)
	for range decodings {
		var changed bool
		if decoded, at, changed = decode(decoded, at, len(text) <= maxTracked); !changed {
			return found
		}
		var spans []span
		for _, find := range finders {
			spans = find(decoded, spans)
		}
		if len(spans) > 0 && len(text) > maxTracked {
			return append(found, span{0, len(text), Secret})
		}
		for _, s := range spans {
			found = append(found, span{int(at[s.from]), int(at[s.to]), s.mask})
		}
	}
	return found
}

// decode undoes percent-encoding where it is well-formed, and leaves the rest as it is, as lenient readers do. at holds
// the place in the first text of each byte of this one, and of its end; nil means that this is the first text. from is
// the same for the decoded text, nil unless track is set.
func decode(text string, at []int32, track bool) (decoded string, from []int32, changed bool) {
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
		if i+2 < len(text) && text[i] == '%' && isHex(text[i+1]) && isHex(text[i+2]) {
			b.WriteByte(unhex(text[i+1])<<4 | unhex(text[i+2]))
			i, changed = i+3, true
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

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

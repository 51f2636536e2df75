package percent

import (
	"fmt"
	"testing"
)

func TestDecode(t *testing.T) {
	for n := range 256 {
		for _, format := range []string{"%%%02x", "%%%02X", "%%%02xff"} {
			if b, ok := Decode(fmt.Sprintf(format, n)); !ok || int(b) != n {
				t.Errorf("%s of %d is %d, %t", format, n, b, ok)
			}
		}
	}
	for _, s := range []string{"", "%", "%2", "2f", "a2f", "%2g", "%g2", "% 2", "%+2", "%%2f", "%/0", "%:0", "%@0", "%`0", "%\x802"} {
		if b, ok := Decode(s); ok {
			t.Errorf("%q is %d", s, b)
		}
	}
}

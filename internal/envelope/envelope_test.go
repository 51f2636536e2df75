package envelope_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
)

func ExampleSeal() {
	fmt.Printf("%s\n", envelope.Seal("client ci-bot", []byte(`{"disabled":true}`)))
	// Output:
	// caddy-m2m client ci-bot sha256:66908b57b5b353bacc1d5eb1716bcc4c9c5bfb141c622180bbfc51d2fec68f35
	// {"disabled":true}
}

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	for _, label := range []string{"", "journal", "client ci-bot", "client a sha256:b", "of\nlines"} {
		for _, content := range []string{"", "{}", "\n", "\x00\xff\nmore\n", "caddy-m2m journal sha256:"} {
			got, err := envelope.Open(label, envelope.Seal(label, []byte(content)))
			if err != nil || string(got) != content {
				t.Errorf("%q of %q is opened as %q, %v", content, label, got, err)
			}
		}
	}
}

// TestOpenFindsDamage changes every bit of an object, cuts it off at every byte, and leaves out every byte.
func TestOpenFindsDamage(t *testing.T) {
	const label = "client Ci-bot"
	whole := envelope.Seal(label, []byte(`{"disabled":true}`))
	refuse := func(object []byte) {
		t.Helper()
		if content, err := envelope.Open(label, object); !errors.Is(err, envelope.ErrDamaged) || content != nil {
			t.Errorf("%q is opened as %q, %v", object, content, err)
		}
	}
	for at := range whole {
		for bit := range 8 {
			changed := bytes.Clone(whole)
			changed[at] ^= 1 << bit
			refuse(changed)
		}
		refuse(whole[:at])
		refuse(append(bytes.Clone(whole[:at]), whole[at+1:]...))
	}
	refuse(append(bytes.Clone(whole), '\n'))
	refuse(append(bytes.Clone(whole), whole...))
	refuse([]byte(`{"disabled":true}`))
	refuse(nil)
	for _, other := range []string{"", "client", "client ci-bot", "resource Ci-bot", "client Ci-bot2"} {
		refuse(envelope.Seal(other, []byte(`{"disabled":true}`)))
	}
}

// FuzzOpen holds that there is one object for each label and content.
func FuzzOpen(f *testing.F) {
	f.Add("client ci-bot", envelope.Seal("client ci-bot", []byte("{}")))
	f.Add("", envelope.Seal("", nil))
	f.Add("journal", []byte("caddy-m2m journal sha256:\n"))
	f.Fuzz(func(t *testing.T, label string, object []byte) {
		content, err := envelope.Open(label, object)
		if err != nil {
			return
		}
		if sealed := envelope.Seal(label, content); !bytes.Equal(sealed, object) {
			t.Errorf("%q is opened, and sealed as %q", object, sealed)
		}
	})
}

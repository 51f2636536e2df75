package keyring

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// testSeal returns a Seal whose encryption keys are those letters, repeated.
func testSeal(t *testing.T, letters ...string) *Seal {
	t.Helper()
	var keys [][]byte
	for _, letter := range letters {
		keys = append(keys, []byte(strings.Repeat(letter, 32)))
	}
	seal, err := NewSeal(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return seal
}

func (c *cluster) object(kid string) (object string) {
	c.spoil(kid, func(o string) string { object = o; return o })
	return object
}

func TestKeysAreEncryptedAtRest(t *testing.T) {
	c := newCluster(t)
	node := c.node(0, testSeal(t, "a")).start()
	kid := node.signerID()
	if object := c.object(kid); strings.Contains(object, `"d"`) || strings.Contains(object, `"key"`) || !strings.Contains(object, `"sealed"`) {
		t.Errorf("in storage is %s", object)
	}
	if got := c.node(0, testSeal(t, "a")).start().signerID(); got != kid {
		t.Errorf("another node signs with %s, want %s", got, kid)
	}
	for want, seal := range map[string]*Seal{"key_encryption is another key": testSeal(t, "b"), "the issuer has no key_encryption": nil} {
		_, err := c.node(0, seal).Current(context.Background())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), kid) {
			t.Errorf("starting: %v, want %q", err, want)
		}
	}
	if len(c.made) != 1 {
		t.Errorf("%d keys were made", len(c.made))
	}
}

// TestEncryptedKeyIsOfItsName: an object is not accepted under another key's name.
func TestEncryptedKeyIsOfItsName(t *testing.T) {
	seal := testSeal(t, "a")
	sealed := seal.seal("one", []byte("private"))
	if _, _, err := seal.open("two", sealed); err == nil {
		t.Error("it is")
	}
	if private, by, err := seal.open("one", sealed); err != nil || string(private) != "private" || by != 0 {
		t.Errorf("%q, %d, %v", private, by, err)
	}
	if slices.Equal(sealed, seal.seal("one", []byte("private"))) {
		t.Error("the same text is encrypted the same way twice")
	}
}

// TestKeysAreResealedAtTheNextRotation, from no encryption to a key, and from that key to another.
func TestKeysAreResealedAtTheNextRotation(t *testing.T) {
	c := newCluster(t)
	kid := c.node(0).start().signerID()
	for _, letters := range [][]string{{"a"}, {"b", "a"}} {
		node := c.node(0, testSeal(t, letters...)).start()
		before := c.object(kid)
		node.mustLook()
		if c.object(kid) != before {
			t.Error("an object is written without a rotation")
		}
		if _, err := node.Rotate(context.Background()); err != nil {
			t.Fatal(err)
		}
		if node.signerID() != kid {
			t.Errorf("signer %s", node.signerID())
		}
		node = c.node(0, testSeal(t, letters[0])).start() // the former is no longer needed
		if !node.Healthy() || node.loaded.Load().key(kid).sealedBy != 0 {
			t.Errorf("after a rotation: %s", node.Problem())
		}
		c.pass(testTimes.lead())
		kid = node.signerID()
	}
}

// TestEncryptionThatFailsHalfWay is completed by a later read.
func TestEncryptionThatFailsHalfWay(t *testing.T) {
	c := newCluster(t)
	kid := c.node(0).start().signerID()
	node := c.node(0, testSeal(t, "a")).start()
	node.storage.fail = func(operation, name string) error {
		if operation == "Store" && kidOf(name) == kid {
			return errAway
		}
		return nil
	}
	if _, err := node.Rotate(context.Background()); err == nil {
		t.Fatal("the former key was not encrypted, and it is not told")
	}
	if err := node.look(); err == nil || node.Healthy() {
		t.Errorf("while it cannot be: %v", err)
	}
	node.storage.fail = nil
	node.mustLook()
	if strings.Contains(c.object(kid), `"d"`) || len(c.made) != 2 {
		t.Errorf("it is not encrypted; %d keys were made", len(c.made))
	}
}

package servertest

import (
	"flag"
	"testing"
)

var long = flag.Bool("long", false, "run the tests that wait for real timeouts")

// SkipUnlessLong skips a test that waits for real timeouts, unless -long is given. The gate gives it.
func SkipUnlessLong(t *testing.T) {
	t.Helper()
	if !*long {
		t.Skip("it waits for real timeouts; run it with -long")
	}
}

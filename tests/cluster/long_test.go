package cluster_test

import (
	"flag"
	"testing"
)

var long = flag.Bool("long", false, "run the tests that wait for a minute and more")

// waitsLong skips a test that waits for real timeouts, unless -long is given. The gate gives it.
func waitsLong(t *testing.T) {
	t.Helper()
	if !*long {
		t.Skip("it waits for real timeouts; run it with -long")
	}
}

package poll

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		start, calls := time.Now(), 0
		Every(ctx, time.Second, func() {
			if calls++; time.Since(start) != time.Duration(calls)*time.Second {
				t.Errorf("call %d is after %s", calls, time.Since(start))
			}
			if calls == 3 {
				stop()
			}
		})
		if calls != 3 {
			t.Errorf("%d calls", calls)
		}
	})
}

func TestOncePerReason(t *testing.T) {
	var reported []string
	report := OncePerReason(func(err error) { reported = append(reported, err.Error()) })
	a, b := errors.New("a"), errors.New("b")
	for _, err := range []error{nil, a, a, b, a, nil, nil, a} {
		report(err)
	}
	if want := []string{"a", "b", "a", "a"}; !slices.Equal(reported, want) {
		t.Errorf("reported %q, want %q", reported, want)
	}
}

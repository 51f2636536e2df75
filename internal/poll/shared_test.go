package poll

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/singleflight"
)

// TestShared checks that a caller whose context ends gets an error and does not affect the others.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group singleflight.Group
		times := 0
		do := func(ctx context.Context) (int, error) {
			times++
			time.Sleep(time.Second)
			return times, ctx.Err()
		}
		leaving, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := Shared(leaving, &group, "it", do); !errors.Is(err, context.Canceled) {
				t.Errorf("who left got %v", err)
			}
		})
		synctest.Wait()
		for range 3 {
			all.Go(func() {
				if got, err := Shared(t.Context(), &group, "it", do); got != 1 || err != nil {
					t.Errorf("who stayed got %d, %v", got, err)
				}
			})
		}
		synctest.Wait()
		leave()
		all.Wait()
		fails := func(context.Context) (int, error) { return 1, errors.ErrUnsupported }
		if got, err := Shared(t.Context(), &group, "it", fails); got != 0 || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a failure is %d, %v", got, err)
		}
	})
}

// TestPanicIsAnError checks that a storage of another plugin that panics ends one call and not the process.
func TestPanicIsAnError(t *testing.T) {
	var group singleflight.Group
	value, err := Shared(t.Context(), &group, "x", func(context.Context) (int, error) { panic("a storage") })
	if value != 0 || err == nil || !strings.Contains(err.Error(), "panic: a storage") {
		t.Errorf("%d, %v", value, err)
	}
}

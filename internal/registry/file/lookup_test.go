package file

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A lookup while the file changes sees exactly one of its versions.
func TestLookupsDuringReload(t *testing.T) {
	version := func(n int) string {
		return fmt.Sprintf("clients: {c: {description: v%[1]d}}\nresources: {r: {description: v%[1]d, actions: {a: ''}}}\n", n) +
			strings.Repeat("#", n) // each version has a different size
	}
	f, path := openFile(t, version(0))
	var looks atomic.Int64
	f.now = func() time.Time { return time.Now().Add(time.Duration(looks.Add(1)) * settleTime) }
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for ctx.Err() == nil {
				c, err := f.Client(ctx, "c")
				r, err1 := f.Resource(ctx, "r")
				all, err2 := f.Resources(ctx)
				ids, err3 := f.ClientIDs(ctx, "", "", 0)
				if err != nil || err1 != nil || err2 != nil || err3 != nil || len(ids) != 1 || r.Description == "" || c.Description == "" || len(all) != 1 || f.Revision() == "" {
					t.Errorf("%+v, %v, %v, %v", c, err, all, err2)
					return
				}
			}
		})
	}
	for range 2 {
		asking.Go(func() {
			for ctx.Err() == nil {
				if _, err := f.Reload(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range 30 {
		replace(t, path, version(n))
	}
	stop()
	asking.Wait()
	for range 2 {
		if _, err := f.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := f.Client(t.Context(), "c"); err != nil || c.Description != "v29" {
		t.Errorf("%+v, %v", c, err)
	}
}

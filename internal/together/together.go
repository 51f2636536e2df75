// Package together has many wait for one.
package together

import (
	"context"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/singleflight"
)

// Do calls do once for all callers that ask for the same at a time. If ctx ends, Do returns its error to that caller, and
// do goes on for the others. A panic in do is returned as an error: it would end the process, because no caller's
// goroutine runs do.
func Do[T any](ctx context.Context, group *singleflight.Group, what string, do func(context.Context) (T, error)) (value T, err error) {
	result := group.DoChan(what, func() (any, error) { return recovering(context.WithoutCancel(ctx), do) })
	select {
	case <-ctx.Done():
		return value, ctx.Err()
	case r := <-result:
		if r.Err != nil {
			return value, r.Err
		}
		return r.Val.(T), nil
	}
}

func recovering[T any](ctx context.Context, do func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("panic: %v\n%s", problem, debug.Stack())
		}
	}()
	return do(ctx)
}

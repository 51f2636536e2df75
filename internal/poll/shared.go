package poll

import (
	"context"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/singleflight"
)

// Shared calls do once for all concurrent callers that use the same key. If ctx ends, Shared returns the context's
// error to that caller while do continues for the others. A panic in do becomes an error: do runs in a goroutine of its
// own, where a panic would end the process.
func Shared[T any](ctx context.Context, group *singleflight.Group, key string, do func(context.Context) (T, error)) (value T, err error) {
	result := group.DoChan(key, func() (value any, err error) {
		defer func() {
			if problem := recover(); problem != nil {
				err = fmt.Errorf("panic: %v\n%s", problem, debug.Stack())
			}
		}()
		return do(context.WithoutCancel(ctx))
	})
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

// Package together has many wait for one.
package together

import (
	"context"

	"golang.org/x/sync/singleflight"
)

// Do does something once for all who ask for it at a time. The end of ctx ends the waiting of who asked, and not what is
// done, for others wait, too: its error is that of ctx then.
func Do[T any](ctx context.Context, group *singleflight.Group, what string, do func(context.Context) (T, error)) (value T, err error) {
	result := group.DoChan(what, func() (any, error) { return do(context.WithoutCancel(ctx)) })
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

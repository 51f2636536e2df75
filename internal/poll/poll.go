// Package poll holds what the loops that poll a file, storage or another server share: Every runs a function at an
// interval, Shared runs a function once for concurrent callers, and Failures tells a new reason for a failure from one
// that is already known. It imports no other package of this module.
package poll

import (
	"context"
	"time"
)

// Every calls do at each interval until ctx is done.
func Every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		do()
	}
}

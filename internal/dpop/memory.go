package dpop

import (
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/once"
)

// NewMemory returns a Memory for a number of proofs.
func NewMemory(proofs int) Memory { return memory{once.New(proofs)} }

type memory struct{ used *once.Memory }

// Use implements Memory.
func (m memory) Use(owner, id string, until time.Time) error {
	switch m.used.Use("dpop", owner, id, until, time.Now()) {
	case once.Fresh:
		return nil
	case once.Used:
		return ErrReplayed
	}
	return ErrFull
}

package issuer

import (
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
)

func TestRevokedShares(t *testing.T) {
	defer func(most int) { MaxRevokedByClient = most }(MaxRevokedByClient)
	MaxRevokedByClient = 3
	var s revokedShares
	now := time.Unix(1_800_000_000, 0)
	soon, late := now.Add(time.Minute), now.Add(time.Hour)
	for n, test := range []struct {
		after  time.Duration
		client string
		until  time.Time
		want   bool
	}{
		{0, "a", soon, true}, {0, "a", soon, true}, {0, "a", late, true}, {0, "a", late, false},
		{0, "b", late, true}, // another client's share
		{revocation.Grace + 30*time.Second, "a", late, false},
		{revocation.Grace + 2*time.Minute, "a", late, true}, {revocation.Grace + 2*time.Minute, "a", late, true}, {revocation.Grace + 2*time.Minute, "a", late, false},
	} {
		if got := s.take(test.client, test.until, now.Add(test.after)); got != test.want {
			t.Errorf("%d: take answers %v", n, got)
		}
	}
	s.release("a", late)
	s.release("a", soon) // which was dropped already
	s.release("stranger", late)
	if !s.take("a", late, now.Add(20*time.Minute)) || s.take("a", late, now.Add(20*time.Minute)) {
		t.Error("not exactly one place was released")
	}
	if s.take("c", late, now.Add(24*time.Hour)); len(s.of) != 1 {
		t.Errorf("%d clients are counted", len(s.of))
	}
}

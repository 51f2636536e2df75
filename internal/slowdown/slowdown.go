// Package slowdown slows down callers that fail to authenticate, by the client ID that they send and the network that they
// come from. New makes a Guard, and Guard.Failed is its entry point. The package imports no other package of this module.
//
// A caller that authenticates never waits, whatever others do in its name or from its network. So a guard locks no client out.
// Secrets cannot be guessed; what is protected is the processor, the storage and the log. The state has a fixed size: counters
// are found by a keyed hash, and several callers may share one. Then a failure of one of them counts for the other, which
// delays only answers to failures.
package slowdown

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// The limits of failures, of one pair of a client ID and a network, and of one network.
const (
	// freeOfPair failures are answered at once, after a pause. Each further one doubles the delay, from firstDelay to MaxDelay.
	freeOfPair = 10
	// pairRecovery is the time in which a pair gets another free failure.
	pairRecovery = 6 * time.Second
	// freeOfNetwork is how many failures of a network are answered at once, and each doubling takes doublingOfNetwork more. A
	// network may be the address of many clients.
	freeOfNetwork, doublingOfNetwork = 100, 20
	networkRecovery                  = time.Second

	firstDelay = 250 * time.Millisecond
	// MaxDelay is the longest delay of an answer.
	MaxDelay = 3 * time.Second
	// doublings is how many doublings lead from firstDelay to MaxDelay. Failures beyond that do not count, so that a network
	// recovers soon.
	doublings = 4
)

const (
	// MaxWaiting is how many answers wait at a time, and maxWaitingOfNetwork how many of them are for one network.
	MaxWaiting          = 8192
	maxWaitingOfNetwork = 2048
)

// Key is who failed.
type Key struct {
	Issuer   string
	ClientID string // as it was sent
	// Network is what NetworkOf returns.
	Network netip.Prefix
}

// NetworkOf returns the network of a caller's address: the address itself if it is IPv4, and its first 64 bits, which is the
// least that a site gets, if it is IPv6 (RFC 6177 §2). All addresses that cannot be parsed are one network.
func NetworkOf(address string) netip.Prefix {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	network, _ := addr.Prefix(bits) // a length that it has
	return network
}

// Guard counts failures, and delays the answers to them. It is safe for concurrent use.
type Guard struct {
	seed  maphash.Seed
	since time.Time // when it was made

	mu       sync.Mutex
	pairs    counters
	networks counters
	waiting  int
	waiters  [cells]uint16 // by network
}

// New makes a guard.
func New() *Guard {
	return &Guard{
		seed:     maphash.MakeSeed(),
		since:    time.Now(),
		pairs:    counters{most: freeOfPair + doublings + 1, recovery: pairRecovery},
		networks: counters{most: freeOfNetwork + (doublings+1)*doublingOfNetwork, recovery: networkRecovery},
	}
}

// Verdict is how a failure is answered.
type Verdict struct {
	// Delay is how long the answer waits. 0 means that the caller is not slowed down.
	Delay time.Duration
	// Refused means that too many answers wait. The caller is told to try again after Delay.
	Refused bool
}

// Failed counts a failure. What it does depends only on earlier failures of the key, and not on why it failed. The caller must
// call Wait if the verdict has a delay and does not refuse.
func (g *Guard) Failed(k Key) Verdict {
	v, _ := g.FailedFor(k, 0)
	return v
}

// FailedFor is like Failed, for an answer that waits for a least time in any case. It also reports whether earlier failures slow it
// down.
func (g *Guard) FailedFor(k Key, least time.Duration) (_ Verdict, slowed bool) {
	now := time.Since(g.since)
	pair, network := g.hashes(k)
	g.mu.Lock()
	defer g.mu.Unlock()
	ofNetwork := g.networks.add(network, now)
	v := Verdict{Delay: delay(ofNetwork-freeOfNetwork, doublingOfNetwork)}
	// A network that makes up IDs would fill the counters of others, and its own one slows it down already.
	ofPair := g.pairs.get(pair, now)
	if v.Delay == 0 {
		ofPair = g.pairs.add(pair, now)
	}
	v.Delay = max(v.Delay, delay(ofPair-freeOfPair, 1))
	slowed = v.Delay > 0
	if v.Delay = max(v.Delay, least); v.Delay == 0 {
		return v, slowed
	}
	place := place(network, 0)
	if g.waiting >= MaxWaiting || g.waiters[place] >= maxWaitingOfNetwork {
		v.Refused = true
		return v, true
	}
	g.waiting++
	g.waiters[place]++
	return v, slowed
}

// Wait waits until the answer is due, or the caller has gone.
func (g *Guard) Wait(ctx context.Context, k Key, v Verdict) {
	timer := time.NewTimer(v.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	_, network := g.hashes(k)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	g.waiters[place(network, 0)]--
}

// Waiting returns how many answers wait.
func (g *Guard) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}

// delay returns the delay of a failure that is that many beyond the free ones.
func delay(beyond float64, doubling float64) time.Duration {
	if beyond <= 0 {
		return 0
	}
	steps := min(int((beyond-0.5)/doubling), doublings) // a part of a failure may have been forgotten meanwhile
	return min(firstDelay<<steps, MaxDelay)
}

// hashes returns the hashes of a key and of its network. No caller can find keys with the same hash, because the seed is secret.
func (g *Guard) hashes(k Key) (pair, network uint64) {
	type ofNetwork struct {
		issuer  string
		network netip.Prefix
	}
	return maphash.Comparable(g.seed, k), maphash.Comparable(g.seed, ofNetwork{k.Issuer, k.Network})
}

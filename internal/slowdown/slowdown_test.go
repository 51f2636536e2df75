package slowdown

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func key(clientID, address string) Key {
	return Key{"https://auth.example.com", clientID, NetworkOf(address)}
}

// fail counts a failure and does not wait for its answer.
func (g *Guard) fail(k Key) Verdict {
	v := g.Failed(k)
	if v.Delay > 0 && !v.Refused {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		g.Wait(gone, k, v)
	}
	return v
}

func TestNetworkOf(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7":                "192.0.2.7/32",
		"::ffff:192.0.2.7":         "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6":     "2001:db8:1:2::/64",
		"2001:db8:1:2::":           "2001:db8:1:2::/64",
		"fe80::1%eth0":             "fe80::/64",
		"":                         "invalid Prefix",
		"not an address":           "invalid Prefix",
		"192.0.2.7:80":             "invalid Prefix",
		"2001:db8:1:3:ffff::1":     "2001:db8:1:3::/64",
		"::ffff:192.0.2.7%ignored": "192.0.2.7/32",
	} {
		if got := NetworkOf(address).String(); got != want {
			t.Errorf("%q is of %s, want %s", address, got, want)
		}
	}
}

// TestDelayGrows after some failures, up to a bound, and ends after a pause.
func TestDelayGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, k := New(), key("bot", "192.0.2.1")
		var got []time.Duration
		for range 17 {
			got = append(got, g.fail(k).Delay)
		}
		ms := time.Millisecond
		if want := append(make([]time.Duration, freeOfPair), 250*ms, 500*ms, 1000*ms, 2000*ms, 3000*ms, 3000*ms, 3000*ms); !slices.Equal(got, want) {
			t.Errorf("the delays are %v, want %v", got, want)
		}
		time.Sleep(2 * pairRecovery)
		if d := g.fail(k).Delay; d != time.Second*2 && d != time.Second {
			t.Errorf("soon after that the delay is %s", d)
		}
		time.Sleep(20 * pairRecovery)
		if d := g.fail(k).Delay; d != 0 {
			t.Errorf("long after that the delay is %s", d)
		}
	})
}

// TestOthersAreNotSlowedDown: the same client from another network, another client from the same network, and another issuer's.
func TestOthersAreNotSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		for range 50 {
			g.fail(key("bot", "2001:db8:1:1::1"))
		}
		elsewhere := key("bot", "2001:db8:1:1::1")
		elsewhere.Issuer = "https://other.example.com"
		for name, k := range map[string]Key{
			"another network": key("bot", "2001:db8:1:2::1"), "IPv4": key("bot", "192.0.2.1"), "no address": key("bot", ""),
			"another client": key("ant", "2001:db8:1:1::1"), "another issuer": elsewhere,
		} {
			if v := g.fail(k); v.Delay != 0 {
				t.Errorf("%s: %+v", name, v)
			}
		}
		if v := g.fail(key("bot", "2001:db8:1:1:ffff::9")); v.Delay != MaxDelay {
			t.Errorf("the same network: %+v", v)
		}
	})
}

// TestMadeUpIDs: a network that makes up IDs is slowed down, whatever IDs it uses. Those of other networks are not.
func TestMadeUpIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		for n := range 100_000 {
			v := g.fail(key(fmt.Sprint("id", n), "192.0.2.1"))
			if slow := n >= freeOfNetwork; (v.Delay > 0) != slow {
				t.Fatalf("%d: %+v", n, v)
			}
		}
		if v := g.fail(key("a", "192.0.2.1")); v.Delay != MaxDelay {
			t.Errorf("in the end the network gets %+v", v)
		}
		for n := range 1000 {
			if v := g.fail(key("id0", netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}).String())); v.Delay != 0 {
				t.Fatalf("another network gets %+v", v)
			}
		}
		time.Sleep(300 * networkRecovery)
		if v := g.fail(key("a", "192.0.2.1")); v.Delay != 0 {
			t.Errorf("long after that the network gets %+v", v)
		}
	})
}

// TestMadeUpNetworks do not make a caller evade its delay, and few of them slow no other down.
func TestMadeUpNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random, g := rand.New(rand.NewPCG(seed, 0)), New()
		slowed, before := 0, g.fail(key("bot", "192.0.2.1"))
		for range freeOfPair + 10 {
			before = g.fail(key("bot", "192.0.2.1"))
		}
		for range 50_000 {
			var b [16]byte
			for n := range b {
				b[n] = byte(random.Uint32())
			}
			if g.fail(key("bot", netip.AddrFrom16(b).String())).Delay > 0 {
				slowed++
			}
		}
		if after := g.fail(key("bot", "192.0.2.1")); before.Delay != MaxDelay || after.Delay != MaxDelay {
			t.Errorf("before them the delay is %s, and then %s", before.Delay, after.Delay)
		}
		if slowed > 500 {
			t.Errorf("%d of them are slowed down at their first failure", slowed)
		}
	})
}

// TestVerdictsDependOnCountsOnly: whatever callers do, the same sequence of failures gets the same verdicts, whichever IDs it has,
// and a network is not slowed down more than by its own failures, unless counters are shared.
func TestVerdictsDependOnCountsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		a, b := New(), New()
		for range 5000 {
			id, network := random.IntN(5), random.IntN(3)
			address := fmt.Sprintf("192.0.2.%d", network)
			known, unknown := a.fail(key(fmt.Sprint("known", id), address)), b.fail(key(fmt.Sprint("%\x00 unknown", id), address))
			if known != unknown {
				t.Fatalf("one ID gets %+v, and another %+v", known, unknown)
			}
			time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
		}
	})
}

// TestWaitingIsBounded, in all and for a network, ends with the caller, and leaves nothing.
func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		ctx, leave := context.WithCancel(t.Context())
		refused := 0
		fail := func(k Key) {
			switch v := g.Failed(k); {
			case v.Refused:
				refused++
			case v.Delay > 0:
				go g.Wait(ctx, k, v)
			}
		}
		one := key("bot", "192.0.2.1")
		for range 2 * maxWaitingOfNetwork {
			fail(one)
		}
		if g.Waiting() != maxWaitingOfNetwork || refused == 0 {
			t.Errorf("%d wait of one network, and %d were refused", g.Waiting(), refused)
		}
		for n := range 2 * MaxWaiting {
			fail(key("bot", fmt.Sprintf("198.51.100.%d", n%8)))
		}
		if g.Waiting() != MaxWaiting {
			t.Errorf("%d wait", g.Waiting())
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		if g.Waiting() != 0 {
			t.Errorf("%d wait although the callers have gone", g.Waiting())
		}
		v := g.Failed(one)
		began := time.Now()
		g.Wait(t.Context(), one, v)
		if waited := time.Since(began); v.Refused || waited != v.Delay {
			t.Errorf("it waited for %s: %+v", waited, v)
		}
	})
}

func FuzzGuard(f *testing.F) {
	f.Add("bot", "192.0.2.1", "", "")
	f.Fuzz(func(t *testing.T, idA, addressA, idB, addressB string) {
		g := New()
		a, b := key(idA, addressA), key(idB, addressB)
		for range freeOfPair + doublings + 1 {
			g.fail(a)
		}
		if v := g.fail(a); v.Delay != MaxDelay {
			t.Errorf("%q gets %+v", idA, v)
		}
		if v := g.fail(b); a != b && v.Delay != 0 {
			t.Errorf("%q from %s gets %+v", idB, b.Network, v)
		}
	})
}

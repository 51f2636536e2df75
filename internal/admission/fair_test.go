package admission

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// by returns a request of a client without limits.
func by(client string) Request {
	return Request{Key: Key{"https://auth.example.com", client}, Weight: Full}
}

// record notes in which order requests work.
type record struct {
	t       *testing.T
	control *Control
	mu      sync.Mutex
	order   []string
	all     sync.WaitGroup
}

// enter starts a request that works for a time. It returns when the request works or waits.
func (r *record) enter(client string, work time.Duration) {
	r.all.Go(func() {
		pass, refusal := r.control.Enter(r.t.Context(), by(client))
		if refusal != nil {
			r.t.Errorf("%s is refused: %s", client, refusal.Reason)
			return
		}
		r.mu.Lock()
		r.order = append(r.order, client)
		r.mu.Unlock()
		time.Sleep(work)
		pass.Leave()
	})
	synctest.Wait()
}

// is waits for all requests, and compares.
func (r *record) is(want string) {
	r.t.Helper()
	r.all.Wait()
	if got := strings.Join(r.order, " "); got != want {
		r.t.Errorf("the order is %s, want %s", got, want)
	}
	r.control.isEmpty(r.t)
}

func (c *Control) isEmpty(t *testing.T) {
	t.Helper()
	if c.holding != 0 || c.over != 0 || c.parked != 0 || c.work != 0 || c.turns.Len() != 0 || c.delayed != 0 {
		t.Errorf("left behind: holding %d, over %d, parked %d, work %s, turns %d, delayed %d", c.holding, c.over, c.parked, c.work, c.turns.Len(), c.delayed)
	}
	for _, cl := range c.clients.byKey {
		if cl.inside != 0 || cl.over != 0 || cl.work != 0 || cl.queue.first != nil {
			t.Errorf("left behind by %v: %+v", cl.key, cl)
		}
	}
}

func ordered(t *testing.T, slots int, test func(*record)) {
	synctest.Test(t, func(t *testing.T) { test(&record{t: t, control: New(slots)}) })
}

func TestClientsTakeTurns(t *testing.T) {
	ordered(t, 1, func(r *record) {
		for range 5 {
			r.enter("a", time.Millisecond)
		}
		for range 3 {
			r.enter("b", time.Millisecond)
		}
		r.enter("c", time.Millisecond)
		r.is("a b c a b a b a a")
	})
}

func TestRequestsOfOneClientWorkInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		first, _ := c.Enter(t.Context(), by("a"))
		var mu sync.Mutex
		var got []int
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() {
				pass, _ := c.Enter(t.Context(), by("a"))
				mu.Lock()
				got = append(got, n)
				mu.Unlock()
				pass.Leave()
			})
			synctest.Wait()
		}
		first.Leave()
		all.Wait()
		if !slices.IsSorted(got) || len(got) != 20 {
			t.Errorf("the order is %v", got)
		}
	})
}

// learn lets a client make requests alone until it is known what they take.
func (r *record) learn(client string, work time.Duration) {
	for range 40 {
		r.enter(client, work)
		r.all.Wait()
	}
	r.order = nil
}

// TestHeavyRequestsPayForTheirTime: for each heavy request the other client has as much time.
func TestHeavyRequestsPayForTheirTime(t *testing.T) {
	ordered(t, 1, func(r *record) {
		r.learn("heavy", 4*time.Millisecond)
		r.learn("light", 200*time.Microsecond)
		r.enter("heavy", 4*time.Millisecond)
		for range 4 {
			r.enter("heavy", 4*time.Millisecond)
		}
		for range 60 {
			r.enter("light", 200*time.Microsecond)
		}
		r.all.Wait()
		heavy := 0
		for _, client := range r.order[:42] {
			if client == "heavy" {
				heavy++
			}
		}
		if heavy < 2 || heavy > 4 {
			t.Errorf("%d of the first 42 requests are heavy, want one for about 20 light ones: %v", heavy, r.order)
		}
	})
}

// TestRequestsBecomeHeavy: a client's requests are charged in full soon after they have become heavy, even if only every
// fourth one is.
func TestRequestsBecomeHeavy(t *testing.T) {
	for _, every := range []int{1, 4} {
		ordered(t, 1, func(r *record) {
			r.learn("other", 200*time.Microsecond)
			r.learn("a", 200*time.Microsecond)
			for n := range 200 {
				work := 200 * time.Microsecond
				if n%every == 0 {
					work = 4 * time.Millisecond
				}
				r.enter("a", work)
				r.enter("other", 200*time.Microsecond)
				r.all.Wait()
			}
			mean := (4*time.Millisecond + time.Duration(every-1)*200*time.Microsecond) / time.Duration(every)
			if a := r.control.clients.byKey[by("a").Key]; a.average < mean/2 {
				t.Errorf("one in %d is heavy: the average is %s, want about %s", every, a.average, mean)
			}
		})
	}
}

// TestOneRequestThatIsStopped for a while, as by the garbage collector, costs its client no turn.
func TestOneRequestThatIsStopped(t *testing.T) {
	ordered(t, 1, func(r *record) {
		for _, client := range []string{"a", "b", "c"} {
			r.learn(client, 200*time.Microsecond)
		}
		r.enter("a", 4*time.Millisecond)
		for range 3 {
			for _, client := range []string{"b", "a", "c"} {
				r.enter(client, 200*time.Microsecond)
			}
		}
		r.is("a b c a b c a b c a")
	})
}

// TestAClientThatPausesOwesStill what it had more than others, and has saved up nothing.
func TestAClientThatPausesOwesStill(t *testing.T) {
	ordered(t, 1, func(r *record) {
		r.learn("heavy", 4*time.Millisecond)
		r.learn("light", 200*time.Microsecond)
		r.enter("light", 200*time.Microsecond)
		r.enter("heavy", 4*time.Millisecond)
		for range 40 {
			r.enter("light", 200*time.Microsecond)
		}
		time.Sleep(5 * time.Millisecond) // heavy has had its turn
		r.enter("heavy", 4*time.Millisecond)
		r.enter("new", 200*time.Microsecond)
		r.all.Wait()
		got := strings.Join(r.order, " ")
		if again := strings.LastIndex(got, "heavy"); again < len("light heavy")+15*len(" light") || strings.Index(got, "new") > again {
			t.Errorf("the order is %s", got)
		}
	})
}

func TestIssuersHaveClientsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		one, other := by("a"), by("a")
		other.Issuer = "https://other.example.com"
		one.Limits, other.Limits = Limits{Rate: 1, Burst: 1}, Limits{Rate: 1, Burst: 1}
		for _, r := range []Request{one, other} {
			pass, refusal := c.Enter(t.Context(), r)
			if refusal != nil {
				t.Fatal(refusal.Reason)
			}
			pass.Leave()
		}
	})
}

// TestARequestThatHangsStopsNone except for others of its client.
func TestARequestThatHangsStopsNone(t *testing.T) {
	ordered(t, 1, func(r *record) {
		r.enter("hangs", 500*time.Millisecond)
		r.enter("hangs", time.Millisecond)
		for range 3 {
			r.enter("other", time.Millisecond)
		}
		r.enter("hangs too", 100*time.Millisecond)
		r.enter("third", time.Millisecond)
		r.is("hangs other hangs too third other other hangs")
	})
}

// TestHowManyHang: more than a few do stop the others.
func TestHowManyHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(2)
		var passes []Pass
		for n := range lent * 2 {
			pass, refusal := c.Enter(t.Context(), by(string(rune('a'+n))))
			if refusal != nil {
				t.Fatal(refusal.Reason)
			}
			passes = append(passes, pass)
		}
		if _, refusal := c.Enter(t.Context(), by("other")); refusal == nil || refusal.Reason != Waited {
			t.Errorf("another one: %+v", refusal)
		}
		for _, pass := range passes {
			pass.Leave()
		}
		c.isEmpty(t)
	})
}

func TestARequestThatYieldsStaysOneOfItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		r := by("a")
		r.Concurrent = 2
		first, _ := c.Enter(t.Context(), r)
		first.Yield()
		first.Yield()
		second, refusal := c.Enter(t.Context(), r)
		if refusal != nil {
			t.Fatal(refusal.Reason)
		}
		if _, refusal := c.Enter(t.Context(), r); refusal == nil || refusal.Reason != Concurrent || !refusal.OfClient() {
			t.Errorf("a third one: %+v", refusal)
		}
		first.Leave()
		first.Leave()
		second.Leave()
		new(Pass).Leave()
		new(Pass).Yield()
		c.isEmpty(t)
	})
}

func TestACallerThatGoesWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		pass, _ := c.Enter(t.Context(), by("a"))
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan *Refusal)
		go func() {
			_, refusal := c.Enter(ctx, by("b"))
			gone <- refusal
		}()
		synctest.Wait()
		if c.Waiting() != 1 {
			t.Errorf("%d wait", c.Waiting())
		}
		cancel()
		if refusal := <-gone; refusal == nil || refusal.Reason != Gone {
			t.Errorf("it is answered with %+v", refusal)
		}
		pass.Leave()
		c.isEmpty(t)
	})
}

// TestNothingIsLost has random clients with random work on a clock that moves only when all goroutines are blocked.
func TestNothingIsLost(t *testing.T) {
	for range 30 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) { nothingIsLost(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func nothingIsLost(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	slots := 1 + random.IntN(4)
	c := New(slots)
	if pause := time.Duration(random.IntN(3)) * time.Millisecond; pause > 0 {
		c.breath.begin = func() { time.AfterFunc(pause, c.breathed) }
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	working, ended, begun := 0, 0, 0
	for n := range 1 + random.IntN(60) {
		name := string(rune('a' + n%(1+random.IntN(8))))
		limits := Limits{Concurrent: random.IntN(20), Rate: float64(random.IntN(3)) * 500, Burst: 1 + random.IntN(20)}
		steps, own := random.IntN(20), rand.New(rand.NewPCG(seed, uint64(n)))
		begun += steps
		all.Go(func() {
			for range steps {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(own.IntN(300))*time.Millisecond)
				r := by(name)
				r.Limits = limits
				pass, refusal := c.Enter(ctx, r)
				mu.Lock()
				ended++
				if refusal == nil {
					working++
				}
				if most := slots * lent; working > most {
					t.Errorf("%d work at a time, at most %d may", working, most)
				}
				mu.Unlock()
				if refusal == nil {
					time.Sleep(time.Duration(own.ExpFloat64() * float64(3*time.Millisecond)))
					if own.IntN(4) == 0 {
						mu.Lock()
						working--
						mu.Unlock()
						pass.Yield()
						time.Sleep(time.Millisecond)
						pass.Leave()
					} else {
						mu.Lock()
						working--
						mu.Unlock()
						pass.Leave()
					}
				}
				c.holds(t)
				cancel()
				time.Sleep(time.Duration(own.IntN(5)) * time.Millisecond)
			}
		})
	}
	all.Wait()
	if ended != begun {
		t.Errorf("%d of %d have ended", ended, begun)
	}
	c.isEmpty(t)
}

// holds checks what is always true.
func (c *Control) holds(t *testing.T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	holding, over, parked, work := 0, 0, 0, time.Duration(0)
	for _, h := range c.holders {
		if h.client != nil {
			holding++
		}
		if h.over {
			over++
		}
	}
	for _, cl := range c.clients.byKey {
		parked += cl.queue.count
		work += cl.work
		if (cl.turn >= 0) != (cl.queue.first != nil) || cl.turn >= 0 && c.turns.clients[cl.turn] != cl {
			t.Errorf("%v has turn %d and %d requests", cl.key, cl.turn, cl.queue.count)
		}
		if c.isFree() && !c.breath.due && cl.queue.first != nil && c.mayHave(cl) {
			t.Errorf("%v waits beside a free slot", cl.key)
		}
	}
	if holding != c.holding || over != c.over || parked != c.parked || work != c.work || holding-over > c.slots {
		t.Errorf("holding %d (%d), over %d (%d), parked %d (%d), work %s (%s)", holding, c.holding, over, c.over, parked, c.parked, work, c.work)
	}
}

// TestAFloodStarvesNone: of two clients, of which one has 50 requests waiting at any time, both have as many answers.
func TestAFloodStarvesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		var answers [2]int
		var mu sync.Mutex
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		loop := func(n int, client string) {
			all.Go(func() {
				for ctx.Err() == nil {
					pass, refusal := c.Enter(ctx, by(client))
					if refusal != nil {
						continue
					}
					time.Sleep(time.Millisecond)
					mu.Lock()
					answers[n]++
					mu.Unlock()
					pass.Leave()
				}
			})
		}
		for range 50 {
			loop(0, "flood")
		}
		for range 2 {
			loop(1, "other")
		}
		time.Sleep(time.Second)
		cancel()
		all.Wait()
		if answers[1] < 450 || answers[1] > 550 {
			t.Errorf("answers: %v", answers)
		}
		c.isEmpty(t)
	})
}

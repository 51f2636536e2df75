package registry

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestLimits(t *testing.T) {
	for body, want := range map[string]Limits{
		"limits: {rate: 200/s, burst: 1000, concurrent: 32}":           {RatePerSecond: 200, Burst: 1000, Concurrent: 32},
		"limits: {rate: 30/m}":                                         {RatePerSecond: 0.5},
		"limits: {rate: 1/h}":                                          {RatePerSecond: 1.0 / 3600},
		"limits: {rate: 0.5/s}":                                        {RatePerSecond: 0.5},
		"limits: {rate: 1000000/s, burst: 1000000, concurrent: 10000}": {RatePerSecond: 1e6, Burst: 1e6, Concurrent: 1e4},
		"limits: {burst: 1}":                                           {Burst: 1},
		"limits: {}":                                                   {},
	} {
		c, err := mustParse(t, "r.yaml", inClient(body)).Client(t.Context(), "c")
		if err != nil || c.Limits != want {
			t.Errorf("%s: %+v, %v; want %+v", body, c, err, want)
		}
	}
}

func TestBurstOf(t *testing.T) {
	for perSecond, want := range map[float64]int{1.0 / 3600: 10, 0.5: 10, 2: 20, 100: 1000, MaxRatePerSecond: MaxBurst} {
		if burst := BurstOf(perSecond); burst != want {
			t.Errorf("BurstOf(%v) = %d, want %d", perSecond, burst, want)
		}
	}
}

func TestLimitsRefused(t *testing.T) {
	const (
		noRate       = `rate must be a number of requests per s, m or h, such as "200/s"`
		rateBounds   = `rate must be from 1/h to 1000000/s`
		noBurst      = `burst must be a whole number from 1 to 1000000`
		noConcurrent = `concurrent must be a whole number from 1 to 10000`
	)
	for body, want := range map[string]string{
		"limits: 200/s":                         `3:9: limits must be a mapping, not a string`,
		"limits: null":                          `3:9: limits must be a mapping, not null`,
		"limits: {rates: 1/s}":                  `3:10: unknown field "rates" in limits: did you mean "rate"?`,
		"limits: {rate: 200}":                   `3:16: ` + noRate,
		"limits: {rate: null}":                  `3:16: ` + noRate,
		"limits: {rate: ''}":                    `3:16: ` + noRate,
		"limits: {rate: /s}":                    `3:16: ` + noRate,
		"limits: {rate: 200/}":                  `3:16: ` + noRate,
		"limits: {rate: 200 / s}":               `3:16: ` + noRate,
		"limits: {rate: 200/sec}":               `3:16: ` + noRate,
		"limits: {rate: 200/d}":                 `3:16: ` + noRate,
		"limits: {rate: 1.2.3/s}":               `3:16: ` + noRate,
		"limits: {rate: -1/s}":                  `3:16: ` + noRate,
		"limits: {rate: +1/s}":                  `3:16: ` + noRate,
		"limits: {rate: NaN/s}":                 `3:16: ` + noRate,
		"limits: {rate: Inf/s}":                 `3:16: ` + noRate,
		"limits: {rate: 1e3/s}":                 `3:16: ` + noRate,
		"limits: {rate: 0x10/s}":                `3:16: ` + noRate,
		"limits: {rate: 1_000/s}":               `3:16: ` + noRate,
		"limits: {rate: 0/s}":                   `3:16: ` + rateBounds,
		"limits: {rate: 0.9/h}":                 `3:16: ` + rateBounds,
		"limits: {rate: 1000001/s}":             `3:16: ` + rateBounds,
		"limits: {burst: 0}":                    `3:17: ` + noBurst,
		"limits: {burst: -1}":                   `3:17: ` + noBurst,
		"limits: {burst: 1.5}":                  `3:17: ` + noBurst,
		"limits: {burst: 1e3}":                  `3:17: ` + noBurst,
		"limits: {burst: '10'}":                 `3:17: ` + noBurst,
		"limits: {burst: 1000001}":              `3:17: ` + noBurst,
		"limits: {burst: 99999999999999999999}": `3:17: ` + noBurst,
		"limits: {concurrent: 0}":               `3:22: ` + noConcurrent,
		"limits: {concurrent: 10001}":           `3:22: ` + noConcurrent,
		"limits: {concurrent: .inf}":            `3:22: ` + noConcurrent,
	} {
		_, err := Parse("r.yaml", []byte(inClient(body)))
		if got := strings.Join(problemsOf(t, "r.yaml", err), "\n "); got != want {
			t.Errorf("%s\n got %s\nwant %s", body, got, want)
		}
	}
}

// TestLimitsRoundTrip: whatever limits a client may have, a stored object, and a file in each notation, gives the same.
func TestLimitsRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		c := &Client{ID: "c", Limits: anyLimits(random)}
		entry, err := c.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		stored, err := DecodeClient("c", entry)
		if err != nil || stored.Limits != c.Limits {
			t.Fatalf("stored as %s: %+v, %v; want %+v", entry, stored, err, c.Limits)
		}
		for _, format := range []string{"json", "yaml"} {
			var file bytes.Buffer
			if err := Export(&file, format, nil, iter.Seq2[*Client, error](func(yield func(*Client, error) bool) { yield(c, nil) })); err != nil {
				t.Fatal(err)
			}
			read, err := mustParse(t, "r."+format, file.String()).Client(t.Context(), "c")
			if err != nil || read.Limits != c.Limits || VersionOf(read) != VersionOf(c) {
				t.Fatalf("exported as %s: %+v, %v; want %+v", file.String(), read, err, c.Limits)
			}
		}
	}
}

// anyLimits returns valid limits, with some fields zero.
func anyLimits(random *rand.Rand) (l Limits) {
	switch random.IntN(4) {
	case 0:
		l.RatePerSecond = 1.0/3600 + random.Float64()*math.Pow(10, float64(random.IntN(6)))
	case 1:
		l.RatePerSecond = float64(1 + random.IntN(MaxRatePerSecond))
	case 2:
		l.RatePerSecond = float64(1+random.IntN(100_000)) / []float64{1, 60, 3600}[random.IntN(3)]
	}
	l.Burst, l.Concurrent = random.IntN(2)*(1+random.IntN(MaxBurst)), random.IntN(2)*(1+random.IntN(MaxConcurrent))
	return l
}

// TestStoredLimitsOutOfBounds: a stored object is refused that this program would not store.
func TestStoredLimitsOutOfBounds(t *testing.T) {
	for _, limits := range []string{`{"burst":-1}`, `{"burst":1000001}`, `{"concurrent":-1}`, `{"rate":"NaN/s"}`, `{"rate":"0/s"}`} {
		if c, err := DecodeClient("c", fmt.Appendf(nil, `{"limits":%s}`, limits)); err == nil {
			t.Errorf("%s: %+v", limits, c.Limits)
		}
	}
	for _, rate := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 1e300} {
		entry, err := (&Client{ID: "c", Limits: Limits{RatePerSecond: rate}}).MarshalJSON()
		if err != nil {
			continue
		}
		if _, err := DecodeClient("c", entry); err == nil {
			t.Errorf("%g is stored as %s and read", rate, entry)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, text := range []string{"200/s", "0.5/m", "1/h", "NaN/s", "1e9/s", "/", "99999999999999999999999999999999/s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := ParseRate(text)
		if err != nil {
			return
		}
		if !(rate > 0 && rate <= MaxRatePerSecond) {
			t.Fatalf("%q is %g", text, rate)
		}
		if again, err := ParseRate(FormatRate(rate)); err != nil || again != rate {
			t.Fatalf("%q is %g, written as %s, and read as %g, %v", text, rate, FormatRate(rate), again, err)
		}
	})
}

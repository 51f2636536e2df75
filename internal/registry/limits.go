package registry

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Limits bound what one client may ask of an issuer. A zero field means the issuer's value.
type Limits struct {
	// RatePerSecond is how many requests the client may make per second, in the long run.
	RatePerSecond float64
	// Burst is how many requests the client may make at once after a pause. If only RatePerSecond is set, it is BurstOf that.
	Burst int
	// Concurrent is how many requests of the client may be in progress at a time.
	Concurrent int
}

// The bounds of Limits. The least rate is one request per hour.
const (
	MaxRatePerSecond = 1_000_000
	MaxBurst         = 1_000_000
	MaxConcurrent    = 10_000
)

// BurstOf returns the burst of a rate that is given without one: what it allows in ten seconds, and at least 10.
func BurstOf(perSecond float64) int { return int(min(max(10*perSecond, 10), MaxBurst)) }

// rateUnits are the units of a rate, and how many seconds they have.
var rateUnits = []struct {
	name    string
	seconds float64
}{{"s", 1}, {"m", 60}, {"h", 3600}}

var errRate = errors.New(`must be a number of requests per s, m or h, such as "200/s"`)

// ParseRate reads a rate, such as 200/s, 30/m or 0.5/h, and returns it per second. It reads plain decimal notation only. Errors
// do not repeat the text.
func ParseRate(text string) (perSecond float64, err error) {
	number, unit, _ := strings.Cut(text, "/")
	if number == "" || len(number) > 32 || strings.Trim(number, "0123456789.") != "" {
		return 0, errRate
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, errRate
	}
	for _, u := range rateUnits {
		if u.name != unit {
			continue
		}
		perSecond = n / u.seconds
		if !(perSecond >= 1.0/3600 && perSecond <= MaxRatePerSecond) {
			return 0, fmt.Errorf("must be from 1/h to %d/s", MaxRatePerSecond)
		}
		return perSecond, nil
	}
	return 0, errRate
}

// FormatRate writes a rate as ParseRate reads it, in the unit that makes the number whole if there is one.
func FormatRate(perSecond float64) string {
	for _, u := range rateUnits {
		if n := math.Round(perSecond * u.seconds); n >= 1 && n/u.seconds == perSecond {
			return strconv.FormatFloat(n, 'f', -1, 64) + "/" + u.name
		}
	}
	return strconv.FormatFloat(perSecond, 'f', -1, 64) + "/s"
}

var limitsSchema = schema[Limits]{
	what: "limits",
	fields: map[string]func(*decoder, *node, *Limits){
		"rate":       func(d *decoder, n *node, l *Limits) { l.RatePerSecond = d.rate(n) },
		"burst":      func(d *decoder, n *node, l *Limits) { l.Burst = d.count(n, "burst", MaxBurst) },
		"concurrent": func(d *decoder, n *node, l *Limits) { l.Concurrent = d.count(n, "concurrent", MaxConcurrent) },
	},
}

func (d *decoder) limits(n *node) (l Limits) {
	limitsSchema.read(d, n, &l)
	return l
}

func (d *decoder) rate(n *node) float64 {
	if n.kind != stringKind {
		d.problems.add(n.at, "rate %v", errRate)
		return 0
	}
	perSecond, err := ParseRate(n.text)
	if err != nil {
		d.problems.add(n.at, "rate %v", err)
	}
	return perSecond
}

// count reads a number from 1 to a maximum.
func (d *decoder) count(n *node, what string, maximum int) int {
	count, err := strconv.ParseUint(n.text, 10, 31)
	if n.kind != numberKind || err != nil || n.text[0] == '0' || count > uint64(maximum) {
		d.problems.add(n.at, "%s must be a whole number from 1 to %d", what, maximum)
		return 0
	}
	return int(count)
}

// limitsEntry is the JSON of Limits.
type limitsEntry struct {
	Rate       string `json:"rate,omitempty"`
	Burst      int    `json:"burst,omitempty"`
	Concurrent int    `json:"concurrent,omitempty"`
}

// entry returns the JSON of the limits, nil if all are the issuer's.
func (l Limits) entry() *limitsEntry {
	if l == (Limits{}) {
		return nil
	}
	e := &limitsEntry{Burst: l.Burst, Concurrent: l.Concurrent}
	if l.RatePerSecond != 0 {
		e.Rate = FormatRate(l.RatePerSecond)
	}
	return e
}

func (e *limitsEntry) limits() (l Limits, err error) {
	if e == nil {
		return l, nil
	}
	l = Limits{Burst: e.Burst, Concurrent: e.Concurrent}
	if e.Rate != "" {
		if l.RatePerSecond, err = ParseRate(e.Rate); err != nil {
			return Limits{}, fmt.Errorf("limits: rate %w", err)
		}
	}
	if l.Burst < 0 || l.Burst > MaxBurst || l.Concurrent < 0 || l.Concurrent > MaxConcurrent {
		return Limits{}, errors.New("limits: a number is out of bounds")
	}
	return l, nil
}

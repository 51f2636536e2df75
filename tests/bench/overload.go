package main

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// overloadRow is one kind of overload. Times are in microseconds.
type overloadRow struct {
	Name string `json:"name"`
	What string `json:"what"`
	// The bystanders are what is measured alone and then during the flood.
	AloneP50           float64     `json:"alone_p50_us,omitempty"`
	FloodedP50         float64     `json:"flooded_p50_us,omitempty"`
	AloneP99           float64     `json:"alone_p99_us,omitempty"`
	FloodedP99         float64     `json:"flooded_p99_us,omitempty"`
	BystandersStatuses map[int]int `json:"bystanders_statuses,omitempty"`
	FloodRate          float64     `json:"flood_rate"` // answers per second
	FloodP50           float64     `json:"flood_p50_us"`
	FloodP99           float64     `json:"flood_p99_us"`
	FloodStatuses      map[int]int `json:"flood_statuses"`
	RSSBefore          uint64      `json:"rss_before"`
	RSSHighest         uint64      `json:"rss_highest"`
}

const (
	doorFlooded = "door-flooded"
	greedyFlood = "greedy-client"
)

// scenario is an overload of a server that runs for it alone.
type scenario struct {
	name, what string
	bystanders func(*server) *target // nil if only the flood is measured
	flood      func(*server) (floodSpec, error)
}

func scenarios(f *fixture, o options) []scenario {
	tokens := func(s *server) *target {
		return &target{name: "other clients", server: s, site: "token",
			source: f.tokensOf(func() string { return s.site("token") }, tokenPath, demoClients)}
	}
	door := func(s *server) *target {
		return &target{name: "the door", server: s, site: "door", source: s.reused("door")}
	}
	many := func(site string, src func(*server) source) func(*server) (floodSpec, error) {
		return func(s *server) (floodSpec, error) {
			requests, err := src(s).make(1)
			return floodSpec{Address: s.site(site), Connections: o.flood, Requests: requests}, err
		}
	}
	tokenFlood := many("token", func(s *server) source { return tokens(s).source })
	plain := func(site string) func(*server) (floodSpec, error) {
		return many(site, func(s *server) source { return always(func() []byte { return rawGet(s.site(site), "") }) })
	}
	waiting := func(s *server) (floodSpec, error) {
		spec, err := tokenFlood(s)
		spec.Waits = true
		return spec, err
	}
	greedy := func(s *server) (floodSpec, error) {
		return floodSpec{Address: s.site("token"), Connections: 16, Scopes: 100, Client: "greedy", Secret: f.secret}, nil
	}
	n := fmt.Sprintf("%d connections", o.flood)
	return []scenario{
		{doorFlooded, "the door, while " + n + " flood the token endpoint", door, tokenFlood},
		{"door-flooded-waiting", "the door, while they wait after a refusal as `Retry-After` says", door, waiting},
		{"tokens-flooded", "tokens of clients, while " + n + " flood the token endpoint", tokens, tokenFlood},
		{greedyFlood, "tokens of other clients, while a client with 200 grants asks for 100 scopes on 16 connections", tokens, greedy},
		{"greedy-client-door", "the door, meanwhile", door, greedy},
		{"many-token", n + " at the token endpoint", nil, tokenFlood},
		{"many-door", n + " at the door", nil, many("door", func(s *server) source { return s.reused("door") })},
		{"many-proxy", n + " at the bare proxy", nil, plain("proxy")},
		{"many-sign", n + " at the limit handler", nil, plain("sign")},
	}
}

// measureOverload runs each scenario on a new server, with the limits that the plugin has by default.
func (r *report) measureOverload(f *fixture, o options) error {
	registry, err := f.writeRegistry("overload.yaml", demoClients)
	if err != nil {
		return err
	}
	chosen, err := regexp.Compile(o.overloads)
	if err != nil {
		return err
	}
	for _, sc := range scenarios(f, o) {
		if !chosen.MatchString(sc.name) {
			continue
		}
		progress("overload: " + sc.name)
		row, err := sc.run(f, o, registry)
		if err != nil {
			return fmt.Errorf("measuring overload, %s: %w", sc.name, err)
		}
		r.Overload = append(r.Overload, row)
	}
	return nil
}

// overloadRounds are those of a scenario with bystanders. One without has a single round, because it fills the memory only once.
const overloadRounds = 3

func (sc scenario) run(f *fixture, o options, registry string) (row overloadRow, err error) {
	row = overloadRow{Name: sc.name, What: sc.what, BystandersStatuses: make(map[int]int), FloodStatuses: make(map[int]int)}
	s := new(server)
	defer s.stop()
	if err := s.start(f, sc.name, serverOptions{Limits: true, Registry: registry}); err != nil {
		return row, err
	}
	spec, err := sc.flood(s)
	if err != nil {
		return row, err
	}
	if _, err := s.usage(true); err != nil {
		return row, err
	}
	row.RSSBefore, _ = s.resident()
	defer func() { _, row.RSSHighest = s.resident() }()
	if sc.bystanders == nil {
		err = row.flood(f, spec, o.duration/2, func() error {
			time.Sleep(2 * o.duration)
			return nil
		})
		return row, err
	}
	bystanders := sc.bystanders(s)
	bystanders.tolerant = true
	bystanders.connect(o.bystanders)
	defer bystanders.hangUp()
	if _, err := bystanders.measure(o.duration / 4); err != nil { // it warms up
		return row, err
	}
	for range min(o.rounds, overloadRounds) {
		var p pair
		if p.against, err = bystanders.measure(o.duration / 2); err != nil {
			return row, err
		}
		err = row.flood(f, spec, o.duration/2, func() (err error) {
			p.measured, err = bystanders.measure(o.duration)
			return err
		})
		if err != nil {
			return row, err
		}
		bystanders.pairs = append(bystanders.pairs, p)
	}
	row.summarize(bystanders)
	return row, nil
}

// summarize takes the medians over the rounds.
func (row *overloadRow) summarize(bystanders *target) {
	of := func(q float64, of func(pair) *sample) float64 {
		return bystanders.medianOfPairs(func(p pair) float64 { return microseconds(of(p).quantile(q)) })
	}
	alone, flooded := func(p pair) *sample { return p.against }, func(p pair) *sample { return p.measured }
	row.AloneP50, row.AloneP99, row.FloodedP50, row.FloodedP99 = of(0.5, alone), of(0.99, alone), of(0.5, flooded), of(0.99, flooded)
	for _, p := range bystanders.pairs {
		for status, n := range p.measured.statuses {
			row.BystandersStatuses[status] += n
		}
	}
}

// flood floods while something else goes on. The times are those of the last flood.
func (row *overloadRow) flood(f *fixture, spec floodSpec, settle time.Duration, during func() error) error {
	flood, err := f.startFlood(spec, settle)
	if err != nil {
		return err
	}
	if err := during(); err != nil {
		return err
	}
	result, err := flood.end()
	if err != nil {
		return err
	}
	row.FloodP50, row.FloodP99, row.FloodRate = microseconds(result.P50), microseconds(result.P99), 0
	for status, n := range result.Statuses {
		row.FloodStatuses[status] += n
		row.FloodRate += float64(n) / result.Took.Seconds()
	}
	return nil
}

// slowdown is the p50 during a flood by the p50 alone.
func (r *report) slowdown(name string) float64 {
	i := slices.IndexFunc(r.Overload, func(row overloadRow) bool { return row.Name == name })
	if i < 0 || r.Overload[i].AloneP50 == 0 {
		return 0
	}
	return r.Overload[i].FloodedP50 / r.Overload[i].AloneP50
}

func (r *report) overloadTable() table {
	t := table{title: fmt.Sprintf("Overload: %d bystanders' connections, the flood from a third process", r.Bystanders), detail: []string{"per second"}, head: []string{
		"what", "p50 alone", "p50 flooded", "×", "p99 alone", "p99 flooded", "answers", "the flood's answers", "per second", "its p50", "its p99", "RSS before",
		"RSS at its highest",
	}}
	for _, row := range r.Overload {
		t.rows = append(t.rows, []string{
			row.What, duration(row.AloneP50), duration(row.FloodedP50), factor(row.FloodedP50, row.AloneP50), duration(row.AloneP99), duration(row.FloodedP99),
			share(row.BystandersStatuses), share(row.FloodStatuses), number(row.FloodRate), duration(row.FloodP50), duration(row.FloodP99),
			megabytes(row.RSSBefore), megabytes(row.RSSHighest),
		})
	}
	return t
}

func factor(v, of float64) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", v/of)
}

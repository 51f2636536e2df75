package main

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// comparison is what one run measures: targets, each against another one in the same process.
type comparison struct {
	fixture *fixture
	targets []*target
	servers []*server
	peer    *peer
}

// newComparison starts the servers that the chosen targets need.
func newComparison(f *fixture, o options) (*comparison, error) {
	c := &comparison{fixture: f}
	chosen, err := regexp.Compile(o.targets)
	if err != nil {
		return c, err
	}
	for _, group := range []func(options, *regexp.Regexp) error{c.mainTargets, c.silentTargets, c.largeTargets, c.peerTargets} {
		if err := group(o, chosen); err != nil {
			return c, err
		}
	}
	if len(c.targets) == 0 {
		return c, fmt.Errorf("no target matches %q", o.targets)
	}
	for _, t := range c.targets {
		t.connect(o.connections)
	}
	return c, nil
}

func (c *comparison) close() {
	for _, t := range c.targets {
		t.hangUp()
	}
	for _, s := range c.servers {
		s.stop()
	}
	if c.peer != nil {
		c.peer.stop()
	}
}

// add keeps the chosen targets, and what they are compared with. It reports whether there are any.
func (c *comparison) add(chosen *regexp.Regexp, targets ...*target) bool {
	kept := 0
	for _, t := range targets {
		if !chosen.MatchString(t.name) {
			continue
		}
		for t := t; t != nil; t = t.against {
			if !slices.Contains(c.targets, t) {
				c.targets = append(c.targets, t)
				kept++
			}
		}
	}
	return kept > 0
}

func (c *comparison) start(s *server, name string, o serverOptions, clients int) error {
	registry, err := c.fixture.writeRegistry(name+".yaml", clients)
	if err != nil {
		return err
	}
	o.Registry, o.Patient = registry, true
	c.servers = append(c.servers, s)
	return s.start(c.fixture, name, o)
}

func (c *comparison) mainTargets(_ options, chosen *regexp.Regexp) error {
	s, f := new(server), c.fixture
	at := func(site string) func() string { return func() string { return s.site(site) } }
	on := func(name, what, site string, src source, against *target) *target {
		return &target{name: name, what: what, server: s, site: site, source: src, against: against}
	}
	bare := func(site string) source { return always(func() []byte { return rawGet(s.site(site), "") }) }
	encrypted := func(t *target, redial bool) *target {
		t.tls, t.redial = true, redial
		return t
	}
	respond := on("respond", "Caddy's `respond`", "respond", bare("respond"), nil)
	sign := on("sign", "the limit: a handler that makes one ES256 signature", "sign", bare("sign"), nil)
	respond.against = sign
	kept := encrypted(on("sign-tls", "the limit, TLS on kept connections", "sign-tls", bare("sign-tls"), nil), false)
	renewed := encrypted(on("sign-tls-new", "the limit, a new TLS connection each time", "sign-tls", bare("sign-tls"), nil), true)
	proxy := on("proxy", "`reverse_proxy` alone, with the same requests", "proxy", s.reused("proxy"), nil)
	two := func(site string) source { return f.tokensOf(at(site), tokenPath, demoClients) }
	if !c.add(chosen, sign, respond,
		on("token", "token: two scopes, shipped policy, decision log on", "token", two("token"), sign),
		on("token-clock", "token: a policy that reads the clock", "clock", two("clock"), sign),
		on("token-50-grants", "token: 50 grants, 20 scopes, different each time", "token", f.otherScopes(at("token"), "many-grants", 20), sign),
		on("token-eddsa", "token: EdDSA", "eddsa", two("eddsa"), sign),
		encrypted(on("token-tls", "token: TLS on kept connections", "token-tls", two("token-tls"), kept), false),
		encrypted(on("token-tls-new", "token: a new TLS connection each time", "token-tls", two("token-tls"), renewed), true),
		on("door", "door: the same token each time", "door", s.reused("door"), proxy),
		on("door-minted", "door: new tokens, minted by this process", "door", s.freshlyMinted(), proxy),
		on("door-elsewhere", "door: new tokens, minted elsewhere", "door-elsewhere", s.mintedElsewhere(), proxy),
	) {
		return nil
	}
	return c.start(s, "main", serverOptions{}, demoClients)
}

// silentTargets are those without the decision log, which is off for a whole process.
func (c *comparison) silentTargets(_ options, chosen *regexp.Regexp) error {
	s := new(server)
	sign := c.limit("sign-no-log", s)
	if !c.add(chosen, &target{name: "token-no-log", what: "token: decision log off", server: s, site: "token", against: sign,
		source: c.fixture.tokensOf(func() string { return s.site("token") }, tokenPath, demoClients)}) {
		return nil
	}
	return c.start(s, "silent", serverOptions{Silent: true}, demoClients)
}

// largeTargets are those with a large registry, which changes how often the process collects garbage.
func (c *comparison) largeTargets(o options, chosen *regexp.Regexp) error {
	s := new(server)
	sign := c.limit("sign-clients", s)
	if !c.add(chosen, &target{name: "token-clients", what: fmt.Sprintf("token: %d clients in turn", o.clients), server: s, site: "token",
		against: sign, source: c.fixture.tokensOf(func() string { return s.site("token") }, tokenPath, o.clients)}) {
		return nil
	}
	return c.start(s, "large", serverOptions{}, o.clients)
}

// limit is the signature alone, in a process that has no other targets than the one compared with it.
func (c *comparison) limit(name string, s *server) *target {
	return &target{name: name, what: "the limit in that process", server: s, site: "sign",
		source: always(func() []byte { return rawGet(s.site("sign"), "") })}
}

// run has the targets take turns. Each is measured right after what it is compared with, and the first round does not count.
func (c *comparison) run(o options, progress func(string)) error {
	for round := range o.rounds + 1 {
		d := o.duration
		if round == 0 {
			d /= 4
			progress("warming up")
		} else {
			progress(fmt.Sprintf("round %d of %d", round, o.rounds))
		}
		for _, t := range c.targets {
			if t.against == nil {
				continue // it is measured with those that are compared with it
			}
			if err := t.round(d, round > 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// pair is a sample of a target with one, from just before, of what it is compared with.
type pair struct{ measured, against *sample }

func (t *target) round(d time.Duration, counts bool) error {
	against, err := t.against.measure(d / 2)
	if err != nil {
		return err
	}
	measured, err := t.measure(d)
	if err != nil {
		return err
	}
	if counts {
		t.pairs = append(t.pairs, pair{measured, against})
		t.against.pairs = append(t.against.pairs, pair{measured: against})
	}
	return nil
}

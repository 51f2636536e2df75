package lint

import (
	"slices"
	"strings"
)

// flow is what is known of the requests that reach a handler.
type flow struct {
	steps []step
	// clientAuth is set if their connections may have a client certificate.
	clientAuth bool
	// gates are the doors that all these requests have passed.
	gates []gate
	// readers are handlers before any door that some of these requests have passed, and that read a placeholder of a door.
	readers []*Handler
	// path changes whenever the path of the requests may have changed.
	path *pathState
	// ender answers all these requests before, "" if none does. So the handler is never reached.
	ender string
	// answered is set if something after the handler may answer.
	answered bool
}

type pathState struct{ _ byte }

// gate is a door, and the path that requests had there.
type gate struct {
	door *Door
	path *pathState
}

// step is something that happens to a request: it is matched, a prefix is removed from its path, or its path changes in a way
// that is not known. Exactly one is set.
type step struct {
	matchers []Matcher
	strip    string
	unknown  bool
}

// after returns the flow behind a step. It does not change f.
func (f flow) after(s step) flow {
	f.steps = append(slices.Clip(f.steps), s)
	if s.matchers == nil {
		f.path = new(pathState)
	}
	return f
}

func (f flow) behind(gates ...gate) flow {
	f.gates = append(slices.Clip(f.gates), gates...)
	return f
}

// admitsHost reports whether requests to a host may be among those of the flow.
func (f flow) admitsHost(host string) bool {
	for _, s := range f.steps {
		if s.matchers != nil && !slices.ContainsFunc(s.matchers, func(m Matcher) bool { return matchesHost(m.Hosts, host) }) {
			return false
		}
	}
	return true
}

// admits reports whether requests whose path is p, when they come and at the handler, may be among those of the flow.
func (f flow) admits(p string) bool {
	now := p
	for _, s := range f.steps {
		switch {
		case s.unknown:
			return true
		case s.strip != "":
			if len(now) >= len(s.strip) && strings.EqualFold(now[:len(s.strip)], s.strip) {
				now = now[len(s.strip):]
			}
		case !matchAny(s.matchers, func(pattern string) bool { return matchesPath(pattern, now) }):
			return false
		}
	}
	return now == p
}

// mayMatch reports whether requests that match a pattern of net/http.ServeMux, without a host, at the handler may be among
// those of the flow.
func (f flow) mayMatch(mux string) bool {
	for _, s := range slices.Backward(f.steps) {
		switch {
		case s.unknown:
			return true
		case s.strip != "":
			mux = s.strip + mux
		case !matchAny(s.matchers, func(pattern string) bool { return overlap(pattern, mux) }):
			return false
		}
	}
	return true
}

func matchAny(matchers []Matcher, matches func(pattern string) bool) bool {
	return slices.ContainsFunc(matchers, func(m Matcher) bool {
		return m.Paths == nil || slices.ContainsFunc(m.Paths, matches)
	})
}

// stripped returns the prefix that was removed last from the path, "" if none was or the path has changed since.
func (f flow) stripped() string {
	for _, s := range slices.Backward(f.steps) {
		if s.unknown || s.strip != "" {
			return strings.TrimSuffix(s.strip, "/")
		}
	}
	return ""
}

// passed is what a list of routes does with each request that one of some matchers matches.
type passed struct {
	matchers []Matcher
	group    string
	ender    string // what answers them, "" if nothing does
	gates    []gate
	readers  []*Handler
}

// walk follows the requests of a flow through a list of routes. It returns what answers each of them, "" if not all are
// answered, and the doors that all the others have passed.
func (k *checker) walk(routes []*Route, in flow) (ender string, gates []gate) {
	var before []passed
	f := in
	doors := len(k.doors)
	for n, route := range routes {
		here := f
		for _, b := range before {
			here = here.behindPassed(b, route)
		}
		if len(route.Matchers) > 0 {
			here = here.after(step{matchers: route.Matchers})
		}
		here.answered = !route.Terminal && (in.answered || mayAnswer(routes[n+1:]))
		k.shadowed(here, route)
		k.exempted(here, route, routes[n+1:])
		behindDoor := len(k.doors) > doors
		p := k.route(route, here)
		if behindDoor { // which some of its requests may have passed
			p.readers = nil
		}
		before = append(before, p)
		f = f.afterRoute(route)
		if len(route.Matchers) == 0 {
			gates = append(gates, p.gates...)
			if p.ender != "" && ender == "" && groupEnds(before, route.Group) {
				ender = p.ender
			}
		}
	}
	return ender, gates
}

// behindPassed adds what an earlier route does with all the requests of a route.
func (f flow) behindPassed(b passed, route *Route) flow {
	if b.ender == "" && (covers(b.matchers, route.Matchers) || covers(route.Matchers, b.matchers)) {
		f.readers = append(slices.Clip(f.readers), b.readers...)
	}
	if !covers(b.matchers, route.Matchers) {
		return f
	}
	if b.group != "" && b.group == route.Group && f.ender == "" {
		f.ender = "handle"
	}
	if b.ender != "" && f.ender == "" {
		f.ender = b.ender
	}
	return f.behind(b.gates...)
}

// afterRoute returns the flow of the routes behind a route, whose handlers may have changed the path.
func (f flow) afterRoute(route *Route) flow {
	for _, handler := range route.Handlers {
		switch s, changes := handler.step(); {
		case changes && len(route.Matchers) > 0:
			f = f.after(step{unknown: true})
		case changes:
			f = f.after(s)
		}
	}
	return f
}

// groupEnds reports whether the last of the routes and all earlier ones of its group, of which a request takes one, answer.
func groupEnds(routes []passed, group string) bool {
	for _, p := range routes[:len(routes)-1] {
		if group != "" && p.group == group && p.ender == "" {
			return false
		}
	}
	return true
}

// route follows the requests of a flow through the handlers of a route.
func (k *checker) route(route *Route, f flow) passed {
	p := passed{matchers: route.Matchers, group: route.Group}
	for n, handler := range route.Handlers {
		here := f
		here.answered = f.answered || slices.ContainsFunc(route.Handlers[n+1:], (*Handler).mayAnswer)
		ender, gates := k.handler(handler, here)
		f, p.gates = f.behind(gates...), append(p.gates, gates...)
		if handler.Reads != "" && len(f.gates) == 0 {
			f.readers, p.readers = append(slices.Clip(f.readers), handler), append(p.readers, handler)
		}
		if s, changes := handler.step(); changes {
			f = f.after(s)
		}
		if ender != "" && p.ender == "" {
			p.ender = ender
			f.ender = ender
		}
	}
	if route.Terminal && p.ender == "" {
		p.ender = "a terminal route"
	}
	return p
}

// handler checks a handler that the requests of a flow reach. It returns what walk returns.
func (k *checker) handler(h *Handler, f flow) (ender string, gates []gate) {
	switch {
	case h.Routes != nil:
		return k.walk(h.Routes, f)
	case h.Door != nil && h.Door.Answers:
		k.door(h.Door, f)
		return h.Name, nil
	case h.Door != nil:
		k.door(h.Door, f)
		return "", []gate{{h.Door, f.path}}
	case h.Issuer != nil:
		k.issuerHandler(h.Issuer, f)
	case h.Metadata != nil:
		k.metadataHandlers = append(k.metadataHandlers, h.Metadata)
		k.documents = append(k.documents, document{h.Metadata.Audience, f})
	case h.Ends:
		k.ready(h, f)
		return h.Name, nil
	}
	return "", nil
}

func (k *checker) issuerHandler(h *IssuerHandler, f flow) {
	k.served[h.URL] = append(k.served[h.URL], &place{h, f})
	switch {
	case f.ender != "":
		k.report(h.Position, "m2m_issuer is never reached: "+f.ender+" before it takes every request; put m2m_issuer first")
	case len(f.gates) > 0:
		k.report(h.Position, "m2m_issuer stands behind m2m_auth, so clients need a token to ask for a token; put m2m_issuer first")
	}
}

// ready reports an m2m_ready that load balancers need a token for.
func (k *checker) ready(h *Handler, f flow) {
	for _, g := range f.gates {
		if h.Name == "m2m_ready" && f.ender == "" && len(g.door.Public) == 0 {
			k.report(g.door.Position, "m2m_ready stands behind this m2m_auth, so a load balancer needs a token; put m2m_ready first, or add a `public` line")
		}
	}
}

// step returns what the handler does to the path, and false if it does nothing to it.
func (h *Handler) step() (step, bool) {
	switch {
	case h.StripPrefix != "":
		return step{strip: h.StripPrefix}, true
	case h.Rewrites:
		return step{unknown: true}, true
	case h.Routes != nil && rewrites(h.Routes):
		return step{unknown: true}, true
	}
	return step{}, false
}

func rewrites(routes []*Route) bool {
	return slices.ContainsFunc(routes, func(r *Route) bool {
		return slices.ContainsFunc(r.Handlers, func(h *Handler) bool { _, changes := h.step(); return changes })
	})
}

func mayAnswer(routes []*Route) bool {
	return slices.ContainsFunc(routes, func(r *Route) bool { return slices.ContainsFunc(r.Handlers, (*Handler).mayAnswer) })
}

// mayAnswer reports whether the handler may answer a request.
func (h *Handler) mayAnswer() bool {
	if h.Routes != nil {
		return mayAnswer(h.Routes)
	}
	return !h.Passive && h.Issuer == nil && h.Metadata == nil && (h.Door == nil || h.Door.Answers)
}

package lint

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
	"github.com/caddy-m2m/caddy-m2m/internal/uri"
)

// door checks a door that the requests of a flow reach.
func (k *checker) door(d *Door, f flow) {
	k.doors = append(k.doors, d)
	if d.MetadataURL != "" && f.ender == "" {
		k.documents = append(k.documents, document{d.Resource, f})
		k.named = append(k.named, named{d, f})
	}
	if f.ender != "" {
		unchecked := ", without a check of tokens"
		if f.ender == "m2m_auth" {
			unchecked = ""
		}
		k.report(d.Position, "m2m_auth is never reached: "+f.ender+" before it takes every request"+unchecked+"; put m2m_auth first")
		return
	}
	for _, g := range f.gates {
		if g.door != d && !g.door.KeepToken {
			k.report(d.Position, "m2m_auth refuses every request with 401: the m2m_auth before it"+at(g.door.Position)+
				" removes the token; keep one of them, or add keep_token to the first")
		}
	}
	for _, reader := range f.readers {
		k.report(d.Position, fmt.Sprintf("%s runs before this m2m_auth and reads %s, which is empty there for every client; "+
			"add `order %s after m2m_auth` to the global options, or put both into a `route` in that order", reader.Name, reader.Reads, reader.Name))
	}
	if !d.Answers && !f.answered {
		k.report(d.Position, "nothing answers the requests that pass this m2m_auth, so they get an empty 200; add reverse_proxy, or `respond 204` if that is meant")
	}
	if d.NeedsCertificate && !f.clientAuth {
		k.report(d.Position, "m2m_auth refuses every request: `bound mtls` needs a client certificate, and its site does not ask for one; "+
			"add `tls { client_auth { … } }` to the site, or `client_certificate_header` behind a proxy that terminates TLS")
	}
	if !d.Answers {
		k.requirements(slices.Concat(d.Require, d.Public), f)
	}
	if !k.audience(d) {
		return
	}
	for _, r := range d.Require {
		k.scopes(d, r)
	}
}

// at returns " at file:line", or "" if the position is not known.
func at(position string) string {
	if position == "" {
		return ""
	}
	return " at " + position
}

// requirements checks the lines of a door against the requests that reach it.
func (k *checker) requirements(lines []Requirement, f flow) {
	for _, r := range lines {
		k.requirement(r, f)
	}
	prefix := f.stripped()
	withPrefix := func(r Requirement) bool { return strings.HasPrefix(r.path()+"/", prefix+"/") }
	if prefix == "" || len(lines) == 0 || slices.ContainsFunc(lines, func(r Requirement) bool { return !withPrefix(r) }) {
		return
	}
	without := lines[0]
	without.Path = strings.TrimSuffix(without.Path, without.path()) + "/" + strings.TrimPrefix(without.path()[len(prefix):], "/")
	k.report(lines[0].Position, fmt.Sprintf("m2m_auth sees paths without %s, which handle_path or uri before it removes: write `%s` instead of `%s`", prefix, without, lines[0]))
}

// requirement notes whether a request may reach a line.
func (k *checker) requirement(r Requirement, f flow) {
	problem := ""
	host := strings.TrimSuffix(r.Path, r.path())
	switch {
	case host != "" && !f.admitsHost(host):
		problem = fmt.Sprintf("`%s` never matches: the site of this m2m_auth does not serve the host %s", r, host)
	case !f.mayMatch(r.path()):
		problem = fmt.Sprintf("`%s` never matches: a matcher, handle or handle_path around this m2m_auth gives it other paths, "+
			"and requests for this one are not checked here", r)
	}
	key := Finding{r.Position, r.String()}
	if k.lineOf[key] == nil {
		k.lineOf[key] = &line{requirement: r, problem: problem}
		k.lines = append(k.lines, k.lineOf[key])
	}
	k.lineOf[key].matches = k.lineOf[key].matches || problem == ""
}

// exempted reports a door whose matcher exempts paths of an upstream. A path that can be read in two ways goes around such a
// door, because only the door refuses it.
func (k *checker) exempted(f flow, route *Route, later []*Route) {
	var paths []string
	for _, m := range route.Matchers {
		paths = append(paths, m.NotPaths...)
	}
	if len(paths) == 0 || len(f.gates) > 0 || !proxiesAll(later) {
		return
	}
	for _, h := range route.Handlers {
		if h.Door != nil && !h.Door.Answers {
			k.report(h.Door.Position, fmt.Sprintf("requests for %s go around this m2m_auth, with any path that the upstream may read as another one, "+
				"such as /public/..;/books, and with forged identity headers; remove the matcher, and add lines such as `public GET %s` to the m2m_auth",
				strings.Join(paths, " "), publicPattern(paths[0])))
		}
	}
}

// publicPattern writes a pattern of Caddy's path matcher as one of net/http.ServeMux, nearly.
func publicPattern(pattern string) string {
	prefix, open := strings.CutSuffix(pattern, "*")
	switch {
	case !isPlain(prefix) || !strings.HasPrefix(prefix, "/"):
		return "/path"
	case open:
		return strings.TrimSuffix(prefix, "/") + "/{rest...}"
	}
	return pattern
}

// proxiesAll reports whether one of the routes passes all requests that reach it to an upstream.
func proxiesAll(routes []*Route) bool {
	return slices.ContainsFunc(routes, func(r *Route) bool {
		return len(r.Matchers) == 0 && slices.ContainsFunc(r.Handlers, func(h *Handler) bool { return h.Name == "reverse_proxy" || proxiesAll(h.Routes) })
	})
}

// probes are paths that programs without a token ask for.
var probes = []string{
	"/favicon.ico", "/health", "/healthcheck", "/healthz", "/live", "/liveness", "/livez", "/ping", "/readiness", "/ready", "/readyz", "/robots.txt",
}

// shadowed reports a route that answers some paths, all of whose requests a door before it refuses.
func (k *checker) shadowed(f flow, route *Route) {
	paths, limited := pathsOf(route)
	n := slices.IndexFunc(route.Handlers, (*Handler).mayAnswer)
	if !limited || n < 0 || f.ender != "" || route.Handlers[n].Name == "m2m_ready" {
		return
	}
	for _, g := range f.gates {
		lines := slices.Concat(g.door.Require, g.door.Public)
		if len(lines) == 0 && g.path == f.path && !slices.ContainsFunc(paths, func(p string) bool { return !slices.Contains(probes, p) }) {
			k.report(g.door.Position, fmt.Sprintf("%s for %s stands behind this m2m_auth, so a probe needs a token; add `public GET %s` to the m2m_auth",
				route.Handlers[n].Name, strings.Join(paths, " "), paths[0]))
		}
		if len(g.door.Require) == 0 || g.path != f.path || slices.ContainsFunc(lines, func(r Requirement) bool { return mayBeFor(r, paths) }) {
			continue
		}
		k.report(g.door.Position, fmt.Sprintf("%s for %s is never reached: this m2m_auth runs before it and refuses all its requests, "+
			"because none of its lines matches them; add a line for them, such as `public GET /path`", route.Handlers[n].Name, strings.Join(paths, " ")))
	}
}

func mayBeFor(r Requirement, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return overlap(p, r.path()) })
}

// pathsOf returns the patterns of the paths that a route is for, and false if it is for other paths too.
func pathsOf(route *Route) (paths []string, limited bool) {
	for _, m := range route.Matchers {
		if m.Paths == nil {
			return nil, false
		}
		paths = append(paths, m.Paths...)
	}
	return paths, len(paths) > 0
}

// known returns the issuers of a door with their registries. It returns nil unless all are of this process and all their
// resources are known.
func (k *checker) known(d *Door) []*Issuer {
	var issuers []*Issuer
	for _, trusted := range d.Issuers {
		local := k.local(trusted.URL)
		if local == nil || len(local.Resources) == 0 {
			return nil
		}
		issuers = append(issuers, local)
	}
	return issuers
}

// audience reports a door whose audience no token can have. It returns false if the door cannot be checked any further.
func (k *checker) audience(d *Door) bool {
	issuers := k.known(d)
	if issuers == nil {
		return false
	}
	var handed []string
	for n, issuer := range issuers {
		for _, resource := range issuer.Resources {
			audience := cmp.Or(resource.Audience, issuer.Audience)
			if uri.NamesOneOf([]string{audience}, d.Issuers[n].Audience) {
				return true
			}
			handed = append(handed, audience)
		}
	}
	slices.Sort(handed)
	k.report(d.Position, fmt.Sprintf("m2m_auth refuses every token: it wants the audience %s, and the resources of the registry are for %s",
		strings.Join(d.Issuers[0].Audience, " or "), strings.Join(slices.Compact(handed), ", ")))
	return false
}

// scopes reports a line whose scopes no token of the door's issuers can have.
func (k *checker) scopes(d *Door, r Requirement) {
	issuers := k.known(d)
	accepted := false
	for _, raw := range r.Scopes {
		s, err := scope.Parse(raw)
		if err != nil {
			return
		}
		if problem := unknownName(s, issuers); problem != "" {
			k.report(r.Position, fmt.Sprintf("`%s` needs %s, which no token can have: %s", r, raw, problem))
			return
		}
		accepted = accepted || acceptedFrom(s, issuers, d)
	}
	if !accepted {
		k.report(r.Position, fmt.Sprintf("`%s` needs %s, whose tokens are for an audience that this m2m_auth does not accept: add the resource's audience to `audience`",
			r, strings.Join(r.Scopes, " ")))
	}
}

// unknownName returns why no registry of the issuers has what a scope names, "" if one has it.
func unknownName(s scope.Scope, issuers []*Issuer) string {
	if s.Resource == scope.Any {
		return ""
	}
	if slices.ContainsFunc(issuers, func(i *Issuer) bool { return i.has(s) }) {
		return ""
	}
	codes, actions := make(map[string]bool), make(map[string]bool)
	for _, issuer := range issuers {
		for code := range issuer.Resources {
			codes[code] = true
		}
		for _, action := range issuer.Resources[s.Resource].Actions {
			actions[action] = true
		}
	}
	switch {
	case codes[s.Resource]:
		return fmt.Sprintf("the resource %q has no action %q%s", s.Resource, s.Action, didYouMean(s.Action, actions))
	case swapped(s, codes) != "":
		return fmt.Sprintf("the registry has no resource %q; a scope is resource:identifier:action, so did you mean \"%s:%s\"?",
			s.Resource, swapped(s, codes), s.Resource)
	}
	return fmt.Sprintf("the registry has no resource %q%s", s.Resource, didYouMean(s.Resource, codes))
}

// has reports whether the registry has the resource and the action of a scope.
func (i *Issuer) has(s scope.Scope) bool {
	resource, found := i.Resources[s.Resource]
	return found && (s.Action == scope.Any || slices.Contains(resource.Actions, s.Action))
}

// swapped returns the resource that the last segment of a scope names, "" if it names none: some write the action first.
func swapped(s scope.Scope, codes map[string]bool) string {
	if codes[s.Action] {
		return s.Action
	}
	return suggest.Nearest(s.Action, maps.Keys(codes))
}

func didYouMean(name string, known map[string]bool) string {
	if nearest := suggest.Nearest(name, maps.Keys(known)); nearest != "" {
		return fmt.Sprintf("; did you mean %q?", nearest)
	}
	return ""
}

// acceptedFrom reports whether the door accepts tokens for the resource of a scope from one of the issuers.
func acceptedFrom(s scope.Scope, issuers []*Issuer, d *Door) bool {
	for n, issuer := range issuers {
		resource, found := issuer.Resources[s.Resource]
		if s.Resource == scope.Any || found && uri.NamesOneOf([]string{cmp.Or(resource.Audience, issuer.Audience)}, d.Issuers[n].Audience) {
			return true
		}
	}
	return false
}

// strangers reports the issuers of a door that are not of this process, although a site of this config answers for them.
func (k *checker) strangers(d *Door) {
	for _, trusted := range d.Issuers {
		base, err := url.Parse(trusted.URL)
		if err != nil || k.local(trusted.URL) != nil {
			continue
		}
		n := slices.IndexFunc(k.config.Issuers, func(i *Issuer) bool {
			own, err := url.Parse(i.URL)
			return err == nil && own.Host == base.Host && len(k.served[i.URL]) > 0
		})
		if n >= 0 && !k.mayServe(base.Hostname(), base.Path) {
			k.report(d.Position, fmt.Sprintf("no site serves the issuer %s of this m2m_auth; the site %s serves the issuer %s",
				trusted.URL, base.Host, k.config.Issuers[n].URL))
		}
	}
}

// mayServe reports whether something that is not of this plugin may answer for the metadata below a path.
func (k *checker) mayServe(host, path string) bool {
	for _, p := range []string{path + "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server" + path} {
		if slices.ContainsFunc(k.config.Servers, func(routes []*Route) bool { return mayServe(routes, host, p) }) {
			return true
		}
	}
	return false
}

func mayServe(routes []*Route, host, path string) bool {
	return slices.ContainsFunc(routes, func(r *Route) bool {
		matches := len(r.Matchers) == 0 || slices.ContainsFunc(r.Matchers, func(m Matcher) bool {
			return matchesHost(m.Hosts, host) && matchAny([]Matcher{m}, func(pattern string) bool { return matchesPath(pattern, path) })
		})
		return matches && slices.ContainsFunc(r.Handlers, func(h *Handler) bool {
			if _, rewrites := h.step(); h.Routes != nil && !rewrites {
				return mayServe(h.Routes, host, path)
			}
			return h.mayAnswer() && h.Name != "respond" && h.Name != "error"
		})
	})
}

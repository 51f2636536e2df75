package lint

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
)

// document is where the metadata of a resource is served, or that of every resource if its name is "".
type document struct {
	resource string
	flow     flow
}

// named is a door whose challenges name the URL of its metadata.
type named struct {
	door *Door
	flow flow
}

// metadata reports doors whose challenges name a URL that the config cannot serve, and handlers that serve the metadata of no
// door.
func (k *checker) metadata() {
	for _, n := range k.named {
		if problem := k.unserved(n); problem != "" {
			k.report(n.door.Position, fmt.Sprintf("the challenges of this m2m_auth name its metadata at %s, %s; "+
				"add m2m_resource_metadata to the site of that host, or `metadata off` to m2m_auth", n.door.MetadataURL, problem))
		}
	}
	for _, h := range k.metadataHandlers {
		if !slices.ContainsFunc(k.named, func(n named) bool { return h.Audience == "" || h.Audience == n.door.Resource }) {
			k.report(h.Position, "m2m_resource_metadata serves nothing: no m2m_auth with metadata has "+cmp.Or(h.Audience, "an http or https URL")+" as its first audience")
		}
	}
}

// unserved returns why no request for the metadata of a door can be answered, "" if one may be.
func (k *checker) unserved(n named) string {
	u, err := url.Parse(n.door.MetadataURL)
	if err != nil || k.servesMetadata(n.door, u) {
		return ""
	}
	onServers := func(serves func(routes []*Route, host, path string) bool) bool {
		return slices.ContainsFunc(k.config.Servers, func(routes []*Route) bool { return serves(routes, u.Hostname(), u.Path) })
	}
	switch {
	case n.flow.admitsHost(u.Hostname()):
		if onServers(answersPath) {
			return ""
		}
		return "which it never gets: a matcher, handle or handle_path around it gives it other paths"
	case k.isIssuer(n.door, n.door.Resource) || !k.servesHost(u.Hostname()) || onServers(mayServe):
		return "" // the audience is a default, or something else may serve the document
	}
	return "and the site of that host does not serve it"
}

// answersPath reports whether a route that names the path, and not only all paths, may answer.
func answersPath(routes []*Route, host, path string) bool {
	return slices.ContainsFunc(routes, func(r *Route) bool {
		for _, m := range r.Matchers {
			if matchesHost(m.Hosts, host) && slices.ContainsFunc(m.Paths, func(p string) bool { return p != "*" && p != "/*" && matchesPath(p, path) }) {
				return slices.ContainsFunc(r.Handlers, (*Handler).mayAnswer)
			}
		}
		onHost := len(r.Matchers) == 0 || slices.ContainsFunc(r.Matchers, func(m Matcher) bool { return m.Paths == nil && matchesHost(m.Hosts, host) })
		return onHost && slices.ContainsFunc(r.Handlers, func(h *Handler) bool { return answersPath(h.Routes, host, path) })
	})
}

func (k *checker) servesMetadata(d *Door, u *url.URL) bool {
	return slices.ContainsFunc(k.documents, func(at document) bool {
		return (at.resource == "" || at.resource == d.Resource) && at.flow.ender == "" && at.flow.admitsHost(u.Hostname()) && at.flow.admits(u.Path)
	})
}

// isIssuer reports whether a resource has the name of one of the door's issuers, as by default.
func (k *checker) isIssuer(d *Door, resource string) bool {
	return slices.ContainsFunc(d.Issuers, func(i DoorIssuer) bool { return i.URL == resource })
}

// servesHost reports whether a site of the config names the host.
func (k *checker) servesHost(host string) bool {
	return slices.ContainsFunc(k.config.Servers, func(routes []*Route) bool {
		return slices.ContainsFunc(routes, func(r *Route) bool {
			return slices.ContainsFunc(r.Matchers, func(m Matcher) bool { return m.Hosts != nil && matchesHost(m.Hosts, host) })
		})
	})
}

// Package lint finds parts of a config that are valid and cannot do what they are there for, such as a door that no request
// reaches, or that some requests can go around. Its entry point is [Check]. It knows Caddy's routes by a model of its own, so it imports only internal/scope and internal/suggest of
// this module.
//
// It reports what is certain, and nothing else: a warning on a config that works would teach operators to ignore warnings. A
// matcher or a handler that it does not know may do anything.
package lint

import (
	"net/url"
	"slices"
	"strings"
)

// Finding is one problem of a config.
type Finding struct {
	// Position is the file and the line, "" if they are not known.
	Position string
	// Problem says what does not work, why, and what to do.
	Problem string
}

// Config is a whole config after its placeholders are replaced.
type Config struct {
	Issuers []*Issuer
	Servers [][]*Route
	// ClientAuth says of each of Servers whether any of its connections ask clients for a certificate.
	ClientAuth []bool
}

// Issuer is an issuer of this process.
type Issuer struct {
	URL, Position, Audience string
	// TokenPath and JWKSPath are the routes without which an issuer cannot be used.
	TokenPath, JWKSPath string
	// MetadataPaths are those of its documents, one of which clients and doors need to find the others.
	MetadataPaths []string
	// MTLSURL is the base of the routes for clients with a certificate, "" if it is URL.
	MTLSURL string
	// CertificatesFromProxy is set if proxies send the certificates, so that they, and not this process, serve MTLSURL.
	CertificatesFromProxy bool
	// Resources are those of the registry by their codes. They are empty if the registry is not known yet.
	Resources map[string]Resource
	// Trusted are the types of the issuers whose assertions it accepts, by their URLs.
	Trusted map[string]string
	// Identities are those of the clients of the registry. They are empty if the registry is not known yet.
	Identities []Identity
}

// Resource is what scopes are about.
type Resource struct {
	Audience string // "" means the issuer's
	Actions  []string
}

// Route is a route of Caddy: what its handlers do with the requests that one of its matchers matches.
type Route struct {
	Group    string
	Matchers []Matcher // none matches every request
	Handlers []*Handler
	Terminal bool
}

// Matcher is a set of conditions, which must all hold.
type Matcher struct {
	Hosts []string // nil means any
	Paths []string // nil means any
	Other string   // the other conditions, "" if there are none
	// NotPaths are paths that one of the other conditions excludes.
	NotPaths []string
}

// Handler is a handler of a route. At most one of Routes and the fields after it is set.
type Handler struct {
	// Name is what a Caddyfile calls it.
	Name string
	// Passive handlers never answer a request.
	Passive bool
	// Ends is set if the handler answers every request.
	Ends bool
	// Routes are those of a subroute.
	Routes []*Route
	// StripPrefix is what the handler removes from the beginning of the path.
	StripPrefix string
	// Rewrites is set if the handler changes the path in another way.
	Rewrites bool
	// Reads is the placeholder of a door that the handler reads before it calls the next one, "" if it reads none.
	Reads string
	// Issuer, Door and Metadata are those of the handlers of this plugin.
	Issuer   *IssuerHandler
	Door     *Door
	Metadata *MetadataHandler
}

// IssuerHandler is an m2m_issuer.
type IssuerHandler struct{ URL, Position string }

// MetadataHandler is an m2m_resource_metadata. It serves documents of the config's doors.
type MetadataHandler struct{ Audience, Position string }

// Door is an m2m_auth.
type Door struct {
	Position string
	Issuers  []DoorIssuer
	Require  []Requirement
	Public   []Requirement // without scopes
	// Resource is the audience that its metadata names, and MetadataURL where its challenges say that the metadata is. Both
	// are "" if there is none.
	Resource, MetadataURL string

	// NeedsCertificate is set if every request needs a client certificate of its connection.
	NeedsCertificate bool

	KeepToken bool
	Answers   bool // it judges the request that another proxy describes, and answers that proxy
}

// DoorIssuer is an issuer whose tokens a door accepts.
type DoorIssuer struct {
	URL      string
	Audience []string
}

// Requirement is a line of a door that says which requests pass.
type Requirement struct {
	Position     string
	Method, Path string // as in net/http.ServeMux; a host may precede the path
	Scopes       []string
}

// path returns the pattern without the host.
func (r Requirement) path() string { return r.Path[max(strings.Index(r.Path, "/"), 0):] }

// String returns the line as a Caddyfile has it, without its scopes.
func (r Requirement) String() string {
	directive := "require "
	if len(r.Scopes) == 0 {
		directive = "public "
	}
	return directive + strings.TrimSpace(r.Method+" "+r.Path)
}

// Check returns the findings in the order of the config, each of them once.
func Check(c *Config) []Finding {
	k := &checker{config: c, served: make(map[string][]*place), seen: make(map[Finding]bool), lineOf: make(map[Finding]*line)}
	for n, routes := range c.Servers {
		k.walk(routes, flow{clientAuth: n < len(c.ClientAuth) && c.ClientAuth[n]})
	}
	for _, issuer := range c.Issuers {
		k.issuer(issuer)
		k.certificates(issuer)
		k.identities(issuer)
	}
	for _, door := range k.doors {
		k.strangers(door)
	}
	k.metadata()
	for _, line := range k.lines {
		if !line.matches {
			k.report(line.requirement.Position, line.problem)
		}
	}
	return k.findings
}

type checker struct {
	config *Config
	served map[string][]*place // where each issuer is served, by its URL
	doors  []*Door
	// documents are where doors and other handlers serve metadata, and metadataHandlers are those handlers.
	documents        []document
	metadataHandlers []*MetadataHandler
	named            []named
	lines            []*line
	lineOf           map[Finding]*line // by position and text
	seen             map[Finding]bool
	findings         []Finding
}

// line is a requirement. A snippet that several doors import is one line, which matches if it does in one of the doors.
type line struct {
	requirement Requirement
	matches     bool
	problem     string // why it does not match in the first door
}

// place is where an m2m_issuer stands.
type place struct {
	handler *IssuerHandler
	flow    flow
}

func (k *checker) report(position, problem string) {
	finding := Finding{position, problem}
	if k.seen[finding] {
		return
	}
	k.seen[finding] = true
	k.findings = append(k.findings, finding)
}

// local returns the issuer of this process with a URL, or nil.
func (k *checker) local(url string) *Issuer {
	for _, issuer := range k.config.Issuers {
		if issuer.URL == url {
			return issuer
		}
	}
	return nil
}

// siteOf returns the address of the site of a Caddyfile that serves a URL.
func siteOf(u *url.URL) string {
	if u.Scheme == "https" {
		return u.Host
	}
	return u.Scheme + "://" + u.Host
}

// issuer reports an issuer that clients cannot reach at its URL.
func (k *checker) issuer(i *Issuer) {
	base, err := url.Parse(i.URL)
	if err != nil {
		return
	}
	host := base.Hostname()
	places := k.served[i.URL]
	if len(places) == 0 {
		k.report(i.Position, "no site serves the issuer "+i.URL+"; add m2m_issuer to the site "+siteOf(base))
		return
	}
	onHost := slices.DeleteFunc(slices.Clone(places), func(p *place) bool { return !p.flow.admitsHost(host) })
	switch {
	case len(onHost) == 0:
		k.report(places[0].handler.Position, "m2m_issuer serves the issuer "+i.URL+" on another host than "+host+
			", so its clients do not find it; move it to the site "+siteOf(base))
	case !anyAdmits(onHost, i.TokenPath):
		k.report(onHost[0].handler.Position, "m2m_issuer never gets the requests for "+i.TokenPath+
			": a matcher, handle_path or uri before it takes them; m2m_issuer needs the paths of the issuer's URL "+i.URL)
	case !anyAdmits(onHost, i.JWKSPath):
		k.report(onHost[0].handler.Position, "m2m_issuer never gets the requests for "+i.JWKSPath+
			", where doors and clients find the keys; a matcher, handle_path or uri before it takes them")
	case !slices.ContainsFunc(i.MetadataPaths, func(path string) bool { return anyAdmits(onHost, path) }):
		k.report(onHost[0].handler.Position, "m2m_issuer never gets the requests for its metadata, "+strings.Join(i.MetadataPaths, " and ")+
			", by which clients and doors find the issuer; add them to the matcher before it")
	}
}

func anyAdmits(places []*place, path string) bool {
	return slices.ContainsFunc(places, func(p *place) bool { return p.flow.admits(path) })
}

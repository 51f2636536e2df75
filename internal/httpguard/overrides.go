package httpguard

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// overridden is the part of a request that a header field replaces.
type overridden int

const (
	theMethod overridden = iota
	theURL               // its path, the whole of it, a prefix that the upstream puts before it, or a second one
	theHost
)

// overrides are the header fields that make some upstreams act on another request than the one that was judged, with examples
// of such upstreams. A field whose name folds to one of these names counts as that field.
var overrides = []struct {
	name   string
	what   overridden
	heeded string // upstreams that heed it
}{
	{"X-Http-Method-Override", theMethod, "Rack and Rails, Symfony and Laravel, ASP.NET, Express method-override, Jersey, WordPress, Google APIs"},
	{"X-Http-Method", theMethod, "OData services, Express method-override"},
	{"X-Method-Override", theMethod, "Express method-override, IBM products"},
	{"X-Override-Method", theMethod, "Personium"},
	{"X-Original-Method", theMethod, "authorization servers of nginx's auth_request, such as Authelia"},
	{"X-Forwarded-Method", theMethod, "authorization servers of Traefik's and Caddy's forward auth, such as Authelia and Oathkeeper"},

	{"X-Original-Url", theURL, "IIS URL Rewrite, Symfony, Laminas"},
	{"X-Rewrite-Url", theURL, "ISAPI_Rewrite, Symfony, Yii, Zend Framework"},
	{"X-Original-Uri", theURL, "authorization servers of nginx's auth_request"},
	{"X-Request-Uri", theURL, "NewLife.Core, BlueKing"},
	{"X-Original-Path", theURL, "adapters of functions on Netlify and Vercel"},
	{"X-Rewrite-Path", theURL, "adapters of functions on Netlify and Vercel"},
	{"X-Path-Info", theURL, "PHP applications on IIS"},
	{"X-Matched-Path", theURL, "Next.js in minimal mode"},
	{"X-Invoke-Path", theURL, "Next.js before version 14"},
	{"X-Invoke-Query", theURL, "Next.js before version 14"},
	{"X-Invoke-Output", theURL, "Next.js before version 14"},
	{"X-Now-Route-Matches", theURL, "Next.js in minimal mode: the parameters of its route"},
	{"X-Waws-Unencoded-Url", theURL, "applications on Azure App Service"},
	{"X-Ms-Original-Url", theURL, "Nitro and SvelteKit on Azure"},
	{"X-Envoy-Original-Path", theURL, "services behind Envoy that want the path before a rewrite"},
	{"X-Original-Request-Uri", theURL, "WSGI middleware, OpenID consumers on Sinatra"},
	{"X-Replaced-Path", theURL, "services behind Traefik's ReplacePath"},
	{"X-Astro-Path", theURL, "Astro on Vercel: GHSA-mr6q-rp88-fx84"},
	{"X-Forwarded-Uri", theURL, "authorization servers of Traefik's and Caddy's forward auth, oauth2-proxy"},
	{"X-Forwarded-Url", theURL, "actions of OpenWhisk"},
	{"X-Forwarded-Path", theURL, "GeoServer, services behind Kong"},
	{"X-Forwarded-Prefix", theURL, "Spring, Symfony, Werkzeug, ASP.NET Core, Apache NiFi"},
	{"X-Forwarded-Pathbase", theURL, "ASP.NET Core behind YARP"},
	{"X-Forwarded-Context", theURL, "Apache NiFi and Knox"},
	{"X-Proxycontextpath", theURL, "Apache NiFi"},
	{"X-Forwarded-Script-Name", theURL, "Plack::Middleware::ReverseProxyPath"},
	{"X-Traversal-Path", theURL, "Plack::Middleware::ReverseProxyPath, WSGIProxy"},
	{"X-Vhm-Root", theURL, "Zope with repoze.vhm"},
	{"X-Script-Name", theURL, "WSGI middleware, such as Flask's ReverseProxied"},
	{"Script-Name", theURL, "Gunicorn, as SCRIPT_NAME"},
	{"Path-Info", theURL, "Gunicorn, as PATH_INFO"},

	{"X-Sendfile-Type", theURL, "Rack::Sendfile and Plack: the file that the proxy serves, CVE-2025-61780"},
	{"X-Accel-Mapping", theURL, "Rack::Sendfile and Plack, with X-Sendfile-Type"},

	{"Destination", theURL, "WebDAV servers, for COPY and MOVE: RFC 4918 §10.3"},
	{"X-Amz-Copy-Source", theURL, "object storage with the API of S3, for PUT"},
	{"X-Copy-From", theURL, "OpenStack Swift, for PUT"},
	{"X-Ms-Copy-Source", theURL, "Azure Blob Storage, for PUT"},
	{"X-Ms-Rename-Source", theURL, "Azure Data Lake Storage, for PUT"},

	{"Forwarded", theHost, "RFC 7239: Spring, Symfony, Rails, Jetty, Vert.x, Quarkus"},
	{"X-Original-Host", theHost, "applications behind Azure Application Gateway or ngrok"},
	{"X-Host", theHost, "CamCOPS, SPIP"},
	{"X-Forwarded-Server", theHost, "Jetty, SPIP"},
	{"X-Vhm-Host", theHost, "Zope with repoze.vhm, Grok"},
	{"X-Proxyhost", theHost, "Apache NiFi"},
	{"X-Envoy-Original-Dst-Host", theHost, "Envoy, which sends the request there"},
	{"$wssn", theHost, "WebSphere"},
}

// proxyFields are the fields that a proxy behind the gateway sets, by its own trust rules. It uses exactly these names, so another
// spelling is from the client.
var proxyFields = []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"}

// Overrides removes or refuses the header fields that make an upstream act on another request.
type Overrides struct {
	refused  foldedNames // override the method; without them the request would mean something else
	stripped foldedNames // override URL or host; honest proxies in front set them
	pinned   []string    // pass in this spelling only
}

// foldedNames is a set of folded names.
type foldedNames map[string]struct{}

func (names foldedNames) add(name string) {
	names[strings.Map(func(c rune) rune { return rune(fold(byte(c))) }, name)] = struct{}{} // names are ASCII
}

// has reports whether name folds to one of the names. It does not allocate.
func (names foldedNames) has(name string) bool {
	var folded [32]byte // no name of the list is longer
	if len(name) > len(folded) {
		return false
	}
	for i := range len(name) {
		folded[i] = fold(name[i])
	}
	_, found := names[string(folded[:len(name)])]
	return found
}

// NewOverrides returns overrides that let the trusted fields pass in exactly the given spelling. A method in such a field is
// not judged. NewOverrides fails on a name that is not in the list of overrides, because trusting it would have no effect,
// and on a repeated name.
func NewOverrides(trusted []string) (*Overrides, error) {
	o := &Overrides{refused: make(foldedNames), stripped: make(foldedNames)}
	for _, name := range trusted {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case listedName(canonical) == "":
			return nil, fmt.Errorf("header %q is not in the list of headers that override the request, so trusting it does nothing", canonical)
		case FoldsToAny(canonical, o.pinned):
			return nil, fmt.Errorf("header %q is trusted already", canonical)
		}
		o.pinned = append(o.pinned, canonical)
	}
	for _, override := range overrides {
		switch {
		case FoldsToAny(override.name, o.pinned):
		case override.what == theMethod:
			o.refused.add(override.name)
		default:
			o.stripped.add(override.name)
		}
	}
	o.pinned = append(o.pinned, proxyFields...)
	return o, nil
}

// listedName returns the name in the list that a field folds to, or "" if there is none.
func listedName(field string) string {
	for _, override := range overrides {
		if foldsTo(field, override.name) {
			return override.name
		}
	}
	return ""
}

// Strip deletes the fields that override the URL or the host, unless they are trusted, and other spellings of trusted fields.
func (o *Overrides) Strip(h http.Header) {
	for field := range h {
		if o.stripped.has(field) {
			delete(h, field)
		}
	}
	if len(h["Connection"]) > 0 {
		dropOptions(h, slices.Collect(maps.Keys(o.stripped)))
	}
	PinHeaders(h, o.pinned)
}

// Drops reports whether no field of this name reaches the upstream. The name is canonical.
func (o *Overrides) Drops(name string) bool {
	return o.refused.has(name) || o.stripped.has(name) || FoldsToAny(name, o.pinned) && !slices.Contains(o.pinned, name)
}

// AmbiguousMethod returns why an upstream may see another method, or "" if it may not. Refuse such a request. The reasons are
//
//   - a method that is not in upper case, because some upstreams ignore case;
//   - CONNECT, which asks for a tunnel, unless it is for a WebSocket;
//   - header fields and query parameters that override the method. The body is not read.
func (o *Overrides) AmbiguousMethod(r *http.Request) (reason string) {
	switch {
	case r.Method != strings.ToUpper(r.Method):
		return "the method is not in upper case"
	case r.Method == http.MethodConnect && !isExtendedConnect(r):
		return "the method asks for a tunnel"
	case queryOverridesMethod(r.URL.RawQuery):
		return "a query parameter overrides the method"
	}
	for field := range r.Header {
		if o.refused.has(field) {
			return "the header " + listedName(field) + " overrides the method"
		}
	}
	return ""
}

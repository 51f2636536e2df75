package door

import (
	"net/http"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
)

// Documents are the protected resource metadata of doors, for another place than the doors': requests for its document do not
// reach a door in handle_path, or behind a matcher that misses it.
type Documents struct {
	host Host
	all  []*resourceMetadata
}

// NewDocuments returns the documents of the doors, or the one of a resource if its name is not "". Doors of the same resource
// have one document, with the issuers of all.
func NewDocuments(doors []*Door, resource string, host Host) *Documents {
	documents := &Documents{host: host}
	for _, d := range doors {
		if d.metadata != nil && (resource == "" || d.metadata.resource == resource) {
			documents.add(d.metadata)
		}
	}
	return documents
}

func (s *Documents) add(m *resourceMetadata) {
	for _, known := range s.all {
		if known.resource != m.resource {
			continue
		}
		for _, t := range m.issuers {
			if !slices.ContainsFunc(known.issuers, func(k *TrustedIssuer) bool { return k.Expect.Issuer == t.Expect.Issuer }) {
				known.issuers = append(known.issuers, t)
			}
		}
		known.binding.DPoPRequired = known.binding.DPoPRequired && m.binding.DPoPRequired
		known.binding.CertificateBound = known.binding.CertificateBound || m.binding.CertificateBound
		return
	}
	s.all = append(s.all, newResourceMetadata(m.resource, slices.Clone(m.issuers), m.binding))
}

// ServeHTTP answers a request for one of the documents, and passes others to next. If there are several documents, the host of
// the request must be that of the resource. A single document is served for every host: a proxy in front may have changed it.
func (s *Documents) ServeHTTP(w http.ResponseWriter, r *http.Request, next Handler) error {
	host := httpguard.FoldHost(r.Host)
	for _, m := range s.all {
		if m.serves(r) && (len(s.all) == 1 || m.host == host) {
			return m.answer(w, r, s.host)
		}
	}
	return next.ServeHTTP(w, r)
}

// MetadataURL returns the URL of the door's metadata that its challenges name, "" if they name none.
func (d *Door) MetadataURL() string {
	if d.metadata == nil {
		return ""
	}
	return d.metadata.url
}

package api

import (
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// Status is the state of everything that a server depends on.
type Status struct {
	Issuers []IssuerStatus `json:"issuers"`
	Remotes []RemoteStatus `json:"remote_issuers"`
	Doors   []DoorStatus   `json:"doors"`
}

// Healthy reports whether all of it is healthy.
func (s Status) Healthy() bool {
	return !slices.ContainsFunc(s.Issuers, func(i IssuerStatus) bool { return !i.healthy() }) &&
		!slices.ContainsFunc(s.Remotes, func(r RemoteStatus) bool { return !r.healthy() }) &&
		!slices.ContainsFunc(s.Doors, func(d DoorStatus) bool { return !d.Policy.Healthy })
}

// IssuerStatus is the state of what an issuer depends on.
type IssuerStatus struct {
	Issuer      string         `json:"issuer"`
	Storage     StorageStatus  `json:"storage"`
	Registry    RegistryStatus `json:"registry"`
	Policy      PolicyStatus   `json:"policy"`
	Keys        KeysStatus     `json:"keys"`
	Revocations FetchedStatus  `json:"revocations"`
}

func (i IssuerStatus) healthy() bool {
	return i.Storage.Reachable && i.Storage.Writable && i.Registry.Healthy && i.Policy.Healthy && i.Keys.Healthy && i.Revocations.Healthy
}

// RemoteStatus is what doors know of a remote issuer, once they needed it. Revocations is nil if the issuer
// publishes none and need not.
type RemoteStatus struct {
	Issuer      string         `json:"issuer"`
	Keys        FetchedStatus  `json:"keys"`
	Revocations *FetchedStatus `json:"revocations,omitempty"`
}

func (r RemoteStatus) healthy() bool {
	return r.Keys.Healthy && (r.Revocations == nil || r.Revocations.Healthy)
}

// DoorStatus is the state of a policy that belongs to one door.
type DoorStatus struct {
	Issuer   string       `json:"issuer"`
	Audience []string     `json:"audience"`
	Policy   PolicyStatus `json:"policy"`
}

// FetchedStatus is how many entries are known, and how long ago they were known to be all. Age is zero before that.
type FetchedStatus struct {
	Count   int     `json:"count"`
	Age     float64 `json:"age_seconds"`
	Healthy bool    `json:"healthy"`
	Problem string  `json:"problem,omitempty"`
}

// StorageStatus is the result of the last read and the last write.
type StorageStatus struct {
	Reachable bool   `json:"reachable"`
	Writable  bool   `json:"writable"`
	Problem   string `json:"problem,omitempty"`
}

// RegistryStatus is the state of a registry. Age is the time since it was last compared with its source.
type RegistryStatus struct {
	Source   string  `json:"source"`
	Revision string  `json:"revision"`
	Age      float64 `json:"age_seconds"`
	Healthy  bool    `json:"healthy"`
	Problem  string  `json:"problem,omitempty"`
}

// PolicyStatus is the state of a policy. Its times and its ETag are those of a bundle from a server. Failed is nil if every
// decision of the policy in force could be made.
type PolicyStatus struct {
	Source     string    `json:"source"`
	Where      []string  `json:"where"`
	Revision   string    `json:"revision"`
	Healthy    bool      `json:"healthy"`
	Problem    string    `json:"problem,omitempty"`
	Downloaded time.Time `json:"downloaded,omitzero"`
	Confirmed  time.Time `json:"confirmed,omitzero"`
	ETag       string    `json:"etag,omitempty"`

	Failed *FailedDecisions `json:"failed_decisions,omitempty"`
	// Cache is nil before there is a policy.
	Cache *DecisionCache `json:"decision_cache,omitempty"`
}

// DecisionCache is how one node caches the decisions of a policy.
type DecisionCache struct {
	Entries   int               `json:"entries"`
	Bytes     int               `json:"bytes"`
	Decisions []CachedDecisions `json:"decisions"`
}

// CachedDecisions says whether decisions of a kind are cached, and how often that was of use since the server was started or
// its config was loaded.
type CachedDecisions struct {
	policy.Caching
	Hits      uint64 `json:"hits"`
	Misses    uint64 `json:"misses"`
	Evaluated uint64 `json:"evaluated"`
}

// FailedDecisions are decisions of one node that could not be made, since the policy in force was loaded.
type FailedDecisions struct {
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
	Kind  string    `json:"kind"`
	Error string    `json:"error"`
}

// KeysStatus is the state of an issuer's keys. Count is the number of published keys.
type KeysStatus struct {
	Active  string `json:"active"`
	Next    string `json:"next,omitempty"`
	Count   int    `json:"count"`
	Healthy bool   `json:"healthy"`
	Problem string `json:"problem,omitempty"`
}

// Key describes a signing key. Of the key itself it has the ID only.
type Key struct {
	KID       string    `json:"kid"`
	Alg       string    `json:"alg"`
	State     string    `json:"state"`
	Created   time.Time `json:"created"`
	SignsFrom time.Time `json:"signs_from"`
	// Until is when the key is deleted. It is zero while no other key takes its place.
	Until         time.Time `json:"until,omitzero"`
	Revoked       time.Time `json:"revoked,omitzero"`
	RevokedReason string    `json:"revoked_reason,omitempty"`
	Encrypted     bool      `json:"encrypted"`
}

// KeyList is the keys of an issuer.
type KeyList struct {
	Keys    []Key  `json:"keys"`
	Problem string `json:"problem,omitempty"`
}

// KeyRotation is the answer to a rotation: the new key, and the IDs of the revoked ones.
type KeyRotation struct {
	Key     Key      `json:"key"`
	Revoked []string `json:"revoked,omitempty"`
}

// Issuer describes an issuer of the running config.
type Issuer struct {
	Issuer        string `json:"issuer"`
	Registry      string `json:"registry"`
	Path          string `json:"path,omitempty"`
	Audience      string `json:"audience"`
	SigningAlg    string `json:"signing_alg"`
	TokenTTL      string `json:"token_ttl"`
	TokenEndpoint string `json:"token_endpoint"`
}

// IssuerList is the issuers of the running config.
type IssuerList struct {
	Issuers []Issuer `json:"issuers"`
}

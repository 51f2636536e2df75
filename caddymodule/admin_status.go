package caddymodule

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// statusAnswer is what the server stands on.
type statusAnswer struct {
	Issuers []statusView   `json:"issuers"`
	Remotes []remoteStatus `json:"remote_issuers"`
	Doors   []doorStatus   `json:"doors"`
}

// healthy says that all of it is.
func (s statusAnswer) healthy() bool {
	return !slices.ContainsFunc(s.Issuers, func(i statusView) bool { return !i.healthy() }) &&
		!slices.ContainsFunc(s.Remotes, func(r remoteStatus) bool { return !r.healthy() }) &&
		!slices.ContainsFunc(s.Doors, func(d doorStatus) bool { return !d.Policy.Healthy })
}

func (i statusView) healthy() bool {
	return i.Storage.Reachable && i.Storage.Writable && i.Registry.Healthy && i.Policy.Healthy && i.Keys.Healthy && i.Revocations.Healthy
}

// statusView is what an issuer stands on.
type statusView struct {
	Issuer      string       `json:"issuer"`
	Storage     storageView  `json:"storage"`
	Registry    registryView `json:"registry"`
	Policy      policyView   `json:"policy"`
	Keys        keysView     `json:"keys"`
	Revocations fetchedView  `json:"revocations"`
}

// fetchedView is how many of something are known, and how long ago it was known that these are all: zero before it
// ever was.
type fetchedView struct {
	Count   int     `json:"count"`
	Age     float64 `json:"age_seconds"`
	Healthy bool    `json:"healthy"`
	Problem string  `json:"problem,omitempty"`
}

// remoteStatus is what doors know of an issuer elsewhere. Before they needed it there is nothing to say.
type remoteStatus struct {
	Issuer      string       `json:"issuer"`
	Keys        fetchedView  `json:"keys"`
	Revocations *fetchedView `json:"revocations,omitempty"` // nil when the issuer publishes none, and need not
}

func (r remoteStatus) healthy() bool {
	return r.Keys.Healthy && (r.Revocations == nil || r.Revocations.Healthy)
}

// doorStatus is a policy of a door's own. Of those with an issuer's policy there is nothing to say.
type doorStatus struct {
	Issuer   string     `json:"issuer"`
	Audience []string   `json:"audience"`
	Policy   policyView `json:"policy"`
}

// storageView is the storage as the last look and the last write found it.
type storageView struct {
	Reachable bool   `json:"reachable"`
	Writable  bool   `json:"writable"`
	Problem   string `json:"problem,omitempty"`
}

type registryView struct {
	Source   string  `json:"source"`
	Revision string  `json:"revision"`
	Age      float64 `json:"age_seconds"` // since it was last seen to be as it is where it is kept
	Healthy  bool    `json:"healthy"`
	Problem  string  `json:"problem,omitempty"`
}

// policyView is a policy as the status shows it. Its times and the ETag are those of a bundle that a server
// has.
type policyView struct {
	Source     string    `json:"source"`
	Where      []string  `json:"where"`
	Revision   string    `json:"revision"`
	Healthy    bool      `json:"healthy"`
	Problem    string    `json:"problem,omitempty"`
	Downloaded time.Time `json:"downloaded,omitzero"`
	Confirmed  time.Time `json:"confirmed,omitzero"`
	ETag       string    `json:"etag,omitempty"`
}

func serveStatus(a *adminRequest) error {
	issuers := a.system.issuers
	if a.issuer != nil {
		issuers = []*issuerServer{a.issuer}
	}
	views := []statusView{}
	for _, i := range issuers {
		views = append(views, statusView{i.URL, viewStorage(i), viewRegistry(i), viewPolicy(i.policy), viewKeys(i.keys), viewRevocations(i.revocations)})
	}
	writeAdminJSON(a.w, http.StatusOK, statusAnswer{views, a.remotes(), a.doors()})
	return nil
}

// remotes are the issuers elsewhere, sorted by URL, and none when one of the app's is asked about.
func (a *adminRequest) remotes() []remoteStatus {
	all := []remoteStatus{}
	if a.issuer != nil {
		return all
	}
	for _, url := range slices.Sorted(maps.Keys(a.system.remotes)) {
		all = append(all, a.system.remotes[url].status(url))
	}
	return all
}

func (r *remoteIssuer) status(url string) remoteStatus {
	keys := r.keys.Status()
	view := remoteStatus{Issuer: url, Keys: fetchedView{Healthy: keys.Err == nil}}
	if keys.Err != nil {
		view.Keys.Problem = keys.Err.Error()
	}
	if set, ok := r.keys.Known(); ok {
		view.Keys.Count, view.Keys.Age = set.Len(), time.Since(keys.Fetched).Seconds()
	}
	if r.revocations.concerns() {
		problem := r.revocations.problem()
		view.Revocations = &fetchedView{Count: r.revocations.known.Len(), Healthy: problem == "", Problem: problem}
		if age, known := r.revocations.age(); known {
			view.Revocations.Age = age.Seconds()
		}
	}
	return view
}

// doors are those with a policy of their own, of the issuer that is asked about if one is.
func (a *adminRequest) doors() []doorStatus {
	doors := []doorStatus{}
	for _, door := range a.system.doors {
		if door.Policy != nil && door.Policy.own && (a.issuer == nil || door.trust(a.issuer.URL) != nil) {
			doors = append(doors, doorStatus{door.onlyIssuer(), orEmpty(door.Audience), viewPolicy(door.Policy.engine)})
		}
	}
	return doors
}

// viewStorage takes revocations for whether it can be reached: nothing is looked for more often.
func viewStorage(i *issuerServer) storageView {
	v := storageView{Reachable: true, Writable: true}
	if why := i.storage.unwritten.Reason(); why != "" {
		v.Writable, v.Problem = false, why
	}
	if err := i.revocations.Fresh(); err != nil {
		v.Reachable, v.Problem = false, err.Error()
	}
	return v
}

func viewRegistry(i *issuerServer) registryView {
	source, _ := i.source()
	problem := i.registry.Problem()
	return registryView{source, i.registry.Revision(), i.registry.Age().Seconds(), problem == "", problem}
}

func viewRevocations(store *revocation.Store) fetchedView {
	problem := store.Problem()
	return fetchedView{store.Set().Len(), store.Age().Seconds(), problem == "", problem}
}

func viewPolicy(engine *policy.Engine) policyView {
	s := engine.Status()
	v := policyView{
		Source: s.Source, Where: orEmpty(s.Where), Revision: s.Revision, Healthy: s.Healthy,
		Downloaded: s.Downloaded.UTC(), Confirmed: s.Confirmed.UTC(), ETag: s.ETag,
	}
	if s.Err != nil {
		v.Problem = s.Err.Error()
	}
	return v
}

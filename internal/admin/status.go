package admin

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

func listIssuers(a *request) error {
	answer := api.IssuerList{Issuers: []api.Issuer{}}
	for _, i := range a.system.Issuers {
		source, path := i.RegistrySource()
		answer.Issuers = append(answer.Issuers, api.Issuer{
			Issuer: i.URL, Registry: source, Path: path, Audience: i.Audience, SigningAlg: i.SigningAlg,
			TokenTTL: i.TokenTTL.String(), TokenEndpoint: i.URL + "/oauth2/token",
		})
	}
	writeJSON(a.w, http.StatusOK, answer)
	return nil
}

func serveStatus(a *request) error {
	issuers := a.system.Issuers
	if a.issuer != nil {
		issuers = []*issuer.Server{a.issuer}
	}
	views := []api.IssuerStatus{}
	for _, i := range issuers {
		views = append(views, api.IssuerStatus{
			Issuer: i.URL, Storage: viewStorage(i), Registry: viewRegistry(i), Policy: viewPolicy(i.Policy, i.Policy.Cache()),
			Keys: viewKeys(i.Keys), Revocations: viewRevocations(i.Revocations),
		})
	}
	writeJSON(a.w, http.StatusOK, api.Status{Issuers: views, Remotes: a.remotes(), Doors: a.doors()})
	return nil
}

// remotes returns the remote issuers, sorted by URL, or none if the query chooses an issuer.
func (a *request) remotes() []api.RemoteStatus {
	all := []api.RemoteStatus{}
	if a.issuer != nil {
		return all
	}
	for _, url := range slices.Sorted(maps.Keys(a.system.Remotes)) {
		all = append(all, viewRemote(url, a.system.Remotes[url].Status()))
	}
	return all
}

func viewRemote(url string, status remote.Status) api.RemoteStatus {
	view := api.RemoteStatus{Issuer: url, Keys: viewKnowledge(status.Keys)}
	if status.Revocations != nil {
		revocations := viewKnowledge(*status.Revocations)
		view.Revocations = &revocations
	}
	return view
}

func viewKnowledge(k remote.Knowledge) api.FetchedStatus {
	view := api.FetchedStatus{Count: k.Count, Healthy: k.Problem == "", Problem: k.Problem}
	if !k.AsOf.IsZero() {
		view.Age = time.Since(k.AsOf).Seconds()
	}
	return view
}

// doors returns the doors with a policy of their own that take tokens of the chosen issuer, if there is one.
func (a *request) doors() []api.DoorStatus {
	doors := []api.DoorStatus{}
	for _, d := range a.system.Doors {
		if d.Policy != nil && d.Policy.Own && (a.issuer == nil || d.Trusts(a.issuer.URL)) {
			doors = append(doors, api.DoorStatus{
				Issuer: d.OnlyIssuer(), Audience: api.OrEmpty(d.Audience), Policy: viewPolicy(d.Policy.Engine, d.Policy.Engine.Cache().Only(policy.RequestKind)),
			})
		}
	}
	return doors
}

// viewStorage calls the storage reachable if the revocations were read, because they are read most often.
func viewStorage(i *issuer.Server) api.StorageStatus {
	v := api.StorageStatus{Reachable: true, Writable: true}
	if why := i.Storage.WriteFailure(); why != "" {
		v.Writable, v.Problem = false, why
	}
	if err := i.Revocations.Fresh(); err != nil {
		v.Reachable, v.Problem = false, err.Error()
	}
	return v
}

func viewRegistry(i *issuer.Server) api.RegistryStatus {
	source, _ := i.RegistrySource()
	problem := i.Registry.Problem()
	return api.RegistryStatus{
		Source: source, Revision: i.Registry.Revision(), Age: i.Registry.Age().Seconds(), Healthy: problem == "", Problem: problem,
	}
}

func viewRevocations(store *revocation.Store) api.FetchedStatus {
	problem := store.Problem()
	return api.FetchedStatus{Count: store.Set().Len(), Age: store.Age().Seconds(), Healthy: problem == "", Problem: problem}
}

// failingFor is how long a decision that failed makes a policy unhealthy.
const failingFor = 5 * time.Minute

// viewPolicy calls a policy unhealthy if what its files or bundle hold is not in force, or if a decision failed lately: the
// clients of that decision get 503.
func viewPolicy(engine *policy.Engine, cache policy.CacheStatus) api.PolicyStatus {
	s := engine.Status()
	v := api.PolicyStatus{
		Source: s.Source, Where: api.OrEmpty(s.Where), Revision: s.Revision, Healthy: s.Healthy,
		Downloaded: s.Downloaded.UTC(), Confirmed: s.Confirmed.UTC(), ETag: s.ETag,
		Cache: viewCache(cache),
	}
	if s.Err != nil {
		v.Problem = s.Err.Error()
	}
	if s.Failed.Count == 0 {
		return v
	}
	v.Failed = &api.FailedDecisions{
		Count: s.Failed.Count, Last: s.Failed.Last.UTC(), Kind: string(s.Failed.Err.Kind), Error: s.Failed.Err.Error(),
	}
	if v.Healthy && time.Since(s.Failed.Last) < failingFor {
		v.Healthy, v.Problem = false, "decisions fail, and their clients get 503: "+v.Failed.Error
	}
	return v
}

func viewCache(c policy.CacheStatus) *api.DecisionCache {
	if len(c.Uses) == 0 {
		return nil
	}
	view := &api.DecisionCache{Entries: c.Entries, Bytes: c.Bytes}
	for _, u := range c.Uses {
		view.Decisions = append(view.Decisions, api.CachedDecisions{Caching: u.Caching, Hits: u.Hits, Misses: u.Misses, Evaluated: u.Impure})
	}
	return view
}

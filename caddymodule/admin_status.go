package caddymodule

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// statusAnswer is what the server stands on.
type statusAnswer struct {
	Issuers []statusView `json:"issuers"`
	Doors   []doorStatus `json:"doors"`
}

// healthy says that all of it is.
func (s statusAnswer) healthy() bool {
	return !slices.ContainsFunc(s.Issuers, func(i statusView) bool { return !i.healthy() }) &&
		!slices.ContainsFunc(s.Doors, func(d doorStatus) bool { return !d.Policy.Healthy })
}

func (i statusView) healthy() bool {
	return i.Registry.Healthy && i.Policy.Healthy && i.Keys.Healthy && i.Revocations.Healthy
}

// statusView is what an issuer stands on.
type statusView struct {
	Issuer      string          `json:"issuer"`
	Registry    registryView    `json:"registry"`
	Policy      policyView      `json:"policy"`
	Keys        keysView        `json:"keys"`
	Revocations revocationsView `json:"revocations"`
}

// revocationsView is how many revocations are known, and how long ago those of other nodes were last
// looked for with success.
type revocationsView struct {
	Count   int     `json:"count"`
	Age     float64 `json:"age_seconds"`
	Healthy bool    `json:"healthy"`
	Problem string  `json:"problem,omitempty"`
}

// doorStatus is a policy of a door's own. Of those with an issuer's policy there is nothing to say.
type doorStatus struct {
	Issuer   string     `json:"issuer"`
	Audience []string   `json:"audience"`
	Policy   policyView `json:"policy"`
}

type registryView struct {
	Source   string `json:"source"`
	Revision string `json:"revision"`
	Healthy  bool   `json:"healthy"`
	Problem  string `json:"problem,omitempty"`
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
	issuers := a.app.Issuers
	if a.issuer != nil {
		issuers = []*Issuer{a.issuer}
	}
	views := []statusView{}
	for _, i := range issuers {
		source, _ := i.source()
		problem := i.registry.Problem()
		views = append(views, statusView{i.URL, registryView{source, i.registry.Revision(), problem == "", problem},
			viewPolicy(i.policy), viewKeys(i.keys), viewRevocations(i.revocations)})
	}
	writeAdminJSON(a.w, http.StatusOK, statusAnswer{views, a.doors()})
	return nil
}

// doors are those with a policy of their own, of the issuer that is asked about if one is.
func (a *adminRequest) doors() []doorStatus {
	doors := []doorStatus{}
	for _, door := range a.app.doors {
		if door.Policy != nil && door.Policy.own && (a.issuer == nil || door.trust(a.issuer.URL) != nil) {
			doors = append(doors, doorStatus{door.onlyIssuer(), orEmpty(door.Audience), viewPolicy(door.Policy.engine)})
		}
	}
	return doors
}

func viewRevocations(store *revocation.Store) revocationsView {
	problem := store.Problem()
	return revocationsView{store.Set().Len(), store.Age().Seconds(), problem == "", problem}
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

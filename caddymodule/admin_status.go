package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// statusView is what an issuer stands on.
type statusView struct {
	Issuer   string       `json:"issuer"`
	Registry registryView `json:"registry"`
	Policy   policyView   `json:"policy"`
	Keys     keysView     `json:"keys"`
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
		views = append(views, statusView{i.URL, registryView{source, i.registry.Revision(), problem == "", problem}, viewPolicy(i.policy), viewKeys(i.keys)})
	}
	writeAdminJSON(a.w, http.StatusOK, map[string]any{"issuers": views})
	return nil
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

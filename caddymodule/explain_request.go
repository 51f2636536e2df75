package caddymodule

import (
	"context"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
)

// explainProxied has the doors of the issuer judge a request with the token that would be issued.
func explainProxied(ctx context.Context, e *issuer.Explaining, trace bool, asked *api.ProxiedRequest, all []*door.Door) error {
	var err error
	e.Explanation.Doors, err = door.Explain(ctx, all, door.Question{
		Request: asked, Issuer: e.Explanation.Issuer, Claims: e.Token, Trace: trace, Time: e.Time(),
	})
	if err != nil {
		return err
	}
	letThrough, refused := false, false
	for _, d := range e.Explanation.Doors {
		letThrough = letThrough || d.LetThrough
		refused = refused || !d.LetThrough && d.TakesToken
	}
	e.Explanation.Passes = e.Explanation.Passes && letThrough && !refused
	return nil
}

package caddymodule

import (
	"context"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
)

// explainProxied has the doors of the issuer judge a request with the token that would be issued.
func (e *explaining) explainProxied(ctx context.Context, asked *api.ProxiedRequest, all []*door.Door) error {
	var err error
	e.told.Doors, err = door.Explain(ctx, all, door.Question{
		Request: asked, Issuer: e.issuer.URL, Claims: e.claimed, Trace: e.asked.Trace, Time: e.start,
	})
	if err != nil {
		return err
	}
	letThrough, refused := false, false
	for _, d := range e.told.Doors {
		letThrough = letThrough || d.LetThrough
		refused = refused || !d.LetThrough && d.TakesToken
	}
	e.told.Passes = e.told.Passes && letThrough && !refused
	return nil
}

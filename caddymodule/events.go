package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
)

// emitterOf returns a function that emits Caddy events. A handler of an event cannot prevent what the event reports.
// Credentials in the data are masked, because events are logged and sent to other systems. App.Provision loads the
// events app: goroutines that loaded it here would race for the apps of the config.
func emitterOf(ctx caddy.Context) func(name string, data map[string]any) {
	return func(name string, data map[string]any) {
		if events, err := ctx.AppIfConfigured("events"); err == nil {
			masked, _ := logmask.Object(data)
			events.(*caddyevents.App).Emit(ctx, name, masked)
		}
	}
}

package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
)

// emitterOf returns the emitter of a config's events.
func emitterOf(ctx caddy.Context) func(name string, data map[string]any) {
	return func(name string, data map[string]any) { emit(ctx, name, data) }
}

// emit emits a Caddy event. A handler of the event cannot prevent what the event reports. Provision loads the
// events app: several goroutines that load it here would race for the config's apps. Credentials in the data
// are masked, because events are logged and sent elsewhere.
func emit(ctx caddy.Context, name string, data map[string]any) {
	if events, err := ctx.AppIfConfigured("events"); err == nil {
		masked, _ := logmask.Object(data)
		events.(*caddyevents.App).Emit(ctx, name, masked)
	}
}

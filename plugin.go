// Package m2m is where xcaddy finds the plugin: importing it registers everything that
// caddymodule has with Caddy.
//
//	xcaddy build --with github.com/caddy-m2m/caddy-m2m
package m2m

import _ "github.com/caddy-m2m/caddy-m2m/caddymodule" // registers the modules, directives and commands

// Command caddy is Caddy with this plugin compiled in: for `go run`, releases and images.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // what stock Caddy has

	_ "github.com/caddy-m2m/caddy-m2m" // this plugin
)

func main() { caddycmd.Main() }

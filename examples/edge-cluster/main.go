// Command edge-cluster is Caddy with this plugin and storage in Redis.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddy-m2m/caddy-m2m"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/pberkel/caddy-storage-redis"
)

func main() { caddycmd.Main() }

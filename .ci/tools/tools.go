//go:build tools

// Package tools pins the programs that .ci/run uses.
package tools

import (
	_ "github.com/caddyserver/xcaddy/cmd/xcaddy"
	_ "github.com/open-policy-agent/regal"
	_ "honnef.co/go/tools/cmd/staticcheck"
)

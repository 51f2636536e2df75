package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Host is what the commands need of the program that they are part of. All fields must be set.
type Host struct {
	// DefaultAdmin is the default address of the admin endpoint.
	DefaultAdmin string
	// FindAdmin finds the admin endpoint from the flags --address, --config and --adapter.
	FindAdmin func(address, config, adapter string) (Endpoint, error)
	// Exit ends a command with an exit code above 1.
	Exit func(cmd *cobra.Command, code int) error
	// Explain explains a token request without a server.
	Explain func(context.Context, Offline, api.ExplainRequest) (*api.Explanation, error)
	// Keys fetches the keys of an issuer, which are on its own origin or on one of origins. They include the key
	// kid if the issuer has it.
	Keys func(ctx context.Context, issuer string, origins []string, kid string) (*token.KeySet, error)

	// Start starts a server in this process, with a Caddyfile.
	Start func(caddyfile string) error
	// Store is the registry of the only issuer of that server.
	Store func() (*store.Store, error)
	// Stop stops the server.
	Stop func() error
	// OnExit has a function called when the server is stopped through its admin endpoint.
	OnExit func(func())
}

// Endpoint is where an admin endpoint listens.
type Endpoint struct {
	Name             string // as the user knows it
	Network, Address string // to dial
	Origin           string // for the header of that name; "" for a socket, which has none
}

// Offline is the issuer that Host.Explain uses instead of a server.
type Offline struct {
	Issuer, Audience string // "" for the defaults
	Registry         string // file
	Policy           []string
	DefaultsOff      bool
}

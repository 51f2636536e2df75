package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// unavailable holds the builtin functions that policies do not have, and why: a decision reads only its input and its
// data.
var unavailable = map[string]string{
	"http.send":          "a decision does no network I/O",
	"net.lookup_ip_addr": "a decision does no network I/O",
	"opa.runtime":        "it shows the process environment",
	"json.match_schema":  "a schema may refer to files and URLs",
	"json.verify_schema": "a schema may refer to files and URLs",
	"rego.parse_module":  "a decision compiles no code",
}

// capabilities returns those of OPA without unavailable functions, and without any host.
var capabilities = sync.OnceValue(func() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool {
		_, gone := unavailable[b.Name]
		return gone
	})
	c.AllowNet = []string{}
	return c
})

// CapabilitiesJSON returns what policies may use, in the format that OPA's tools accept for --capabilities.
func CapabilitiesJSON() ([]byte, error) {
	type fields ast.Capabilities
	text, err := json.MarshalIndent(struct {
		fields
		// OPA omits an empty list, and a missing one allows every host.
		AllowNet []string `json:"allow_net"`
	}{fields(*capabilities()), capabilities().AllowNet}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding capabilities: %w", err)
	}
	return text, nil
}

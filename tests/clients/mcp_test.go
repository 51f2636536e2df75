package clients_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth/extauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// TestMCPGoSDK goes from the door's 401 over the metadata and a token to the answer of a tool, with nothing but the URL of the
// MCP server and the client's credentials.
func TestMCPGoSDK(t *testing.T) {
	books := mcp.NewServer(&mcp.Implementation{Name: "books", Version: "1.0.0"}, nil)
	mcp.AddTool(books, &mcp.Tool{Name: "lend"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "lent"}}}, nil, nil
	})
	upstream := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return books }, &mcp.StreamableHTTPOptions{
		Stateless: true, // so that the client needs no stream of its own, which the door would end with the token
	}))
	t.Cleanup(upstream.Close)
	s := start(t, "reverse_proxy "+strings.TrimPrefix(upstream.URL, "http://")+" {\nheader_up Host {upstream_hostport}\n}")
	for n, issuer := range s.issuers {
		t.Run(issuer, func(t *testing.T) {
			handler, err := extauth.NewClientCredentialsHandler(&extauth.ClientCredentialsHandlerConfig{
				Credentials: &oauthex.ClientCredentials{
					ClientID: client, ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: s.secret}, Issuer: issuer,
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			program := mcp.NewClient(&mcp.Implementation{Name: "program", Version: "1.0.0"}, nil)
			session, err := program.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: s.apis[n] + "/mcp", OAuthHandler: handler}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "lend"})
			if err != nil || result.IsError || result.Content[0].(*mcp.TextContent).Text != "lent" {
				t.Errorf("the tool answers %+v, %v", result, err)
			}
		})
	}
}

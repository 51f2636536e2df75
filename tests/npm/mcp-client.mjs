// A client of MCP that gets its tokens with client credentials. It knows the URL of the MCP server, its id and its secret, and
// finds everything else by itself. It prints the names of the server's tools.
//
//   node mcp-client.mjs SDK URL
//
// SDK is the package: @modelcontextprotocol/sdk (version 1) or @modelcontextprotocol/client (version 2). The credentials are in
// MCP_CONFORMANCE_CONTEXT, as JSON, where @modelcontextprotocol/conformance puts them; also the scope to ask for, if any.
const [, , sdk, url] = process.argv
const { client_id: clientId, client_secret: clientSecret, scope, issuer } = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT)

const { Client, ClientCredentialsProvider, StreamableHTTPClientTransport } =
  sdk === '@modelcontextprotocol/client'
    ? await import('@modelcontextprotocol/client')
    : {
        ...(await import('@modelcontextprotocol/sdk/client/index.js')),
        ...(await import('@modelcontextprotocol/sdk/client/auth-extensions.js')),
        ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
      }

const authProvider = new ClientCredentialsProvider({ clientId, clientSecret, scope, expectedIssuer: issuer })
const client = new Client({ name: 'mcp-client', version: '1.0.0' })
await client.connect(new StreamableHTTPClientTransport(new URL(url), { authProvider }))
const { tools } = await client.listTools()
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), scope: authProvider.tokens().scope }))
await client.close()

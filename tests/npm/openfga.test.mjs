import { api, clientId, clientSecret, issuer } from './server.mjs'
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import test from 'node:test'
import { CredentialsMethod, OpenFgaClient } from '@openfga/sdk'

// The tokens that a server of OpenFGA gets with two requests. The SDK sends no scope, and the audience as `audience`.
async function tokensOf(id) {
  const tokens = []
  const server = createServer((request, response) => {
    tokens.push(request.headers.authorization)
    response.setHeader('content-type', 'application/json').end('{"stores":[],"continuation_token":""}')
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = new OpenFgaClient({
    apiUrl: `http://127.0.0.1:${server.address().port}`,
    credentials: {
      method: CredentialsMethod.ClientCredentials,
      config: { apiTokenIssuer: `${issuer}/oauth2/token`, apiAudience: api, clientId: id, clientSecret },
    },
  })
  await client.listStores()
  await client.listStores()
  server.close()
  assert.equal(tokens.length, 2)
  assert.match(tokens[0], /^Bearer ey/)
  return tokens
}

test('a token of ten minutes is used again', async () => {
  const [first, second] = await tokensOf(clientId)
  assert.equal(first, second)
})

// docs/reference.md says so at token_ttl.
test('a token of five minutes is not used again', async () => {
  const [first, second] = await tokensOf('short')
  assert.notEqual(first, second)
})

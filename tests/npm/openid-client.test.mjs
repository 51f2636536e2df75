import { alg, api, book, clientId, clientSecret, issuer, ledger } from './server.mjs'
import assert from 'node:assert/strict'
import test from 'node:test'
import * as client from 'openid-client'

const methods = {
  client_secret_basic: client.ClientSecretBasic(clientSecret),
  client_secret_post: client.ClientSecretPost(clientSecret),
}

// http is for loopback only, and the library wants to be told.
function discover(auth = methods.client_secret_basic, algorithm = 'oidc') {
  return client.discovery(new URL(issuer), clientId, undefined, auth, {
    algorithm,
    execute: [client.allowInsecureRequests],
  })
}

for (const algorithm of ['oidc', 'oauth2']) {
  test(`discovery by ${algorithm} finds the token endpoint`, async () => {
    const config = await discover(undefined, algorithm)
    const metadata = config.serverMetadata()
    assert.equal(metadata.issuer, issuer)
    assert.equal(metadata.token_endpoint, `${issuer}/oauth2/token`)
    assert.deepEqual(metadata.token_endpoint_auth_methods_supported.slice(0, 2), Object.keys(methods))
  })
}

test('discovery refuses http unless told', async () => {
  await assert.rejects(client.discovery(new URL(issuer), clientId, clientSecret), { code: 'OAUTH_HTTP_REQUEST_FORBIDDEN' })
})

test("discovery names the tokens' algorithm", async () => {
  const config = await discover()
  assert.deepEqual(config.serverMetadata().id_token_signing_alg_values_supported, [alg])
})

for (const [method, auth] of Object.entries(methods)) {
  test(`${method} gets a token, and is told what was rejected`, async () => {
    const config = await discover(auth)
    const token = await client.clientCredentialsGrant(config, { scope: 'book:*:read book:*:edit' })
    assert.equal(token.scope, 'book:*:read')
    assert.equal(token.rejected_scope, 'book:*:edit')
    assert.equal(token.token_type, 'bearer') // the library lower-cases it
    assert.equal(token.expires_in, 600)
    assert.ok(token.expiresIn() > 590)
    assert.equal(token.refresh_token, undefined)
  })

  test(`${method} with nothing granted is invalid_scope`, async () => {
    const config = await discover(auth)
    await assert.rejects(client.clientCredentialsGrant(config, { scope: 'book:*:edit' }), (err) => {
      assert.ok(err instanceof client.ResponseBodyError)
      assert.equal(err.status, 400)
      assert.equal(err.error, 'invalid_scope')
      assert.equal(err.cause.rejected_scope, 'book:*:edit')
      return true
    })
  })
}

test('nothing rejected is an empty string', async () => {
  const token = await client.clientCredentialsGrant(await discover(), { scope: 'book:1:read' })
  assert.equal(token.rejected_scope, '')
})

test('resource chooses the audience, and rejects the scopes of others', async () => {
  const token = await client.clientCredentialsGrant(await discover(), { scope: 'book:read ledger:read', resource: ledger })
  assert.equal(token.scope, 'ledger:read')
  assert.equal(token.rejected_scope, 'book:read')
})

test('several resources go together', async () => {
  const parameters = new URLSearchParams([['scope', 'book:read ledger:read'], ['resource', api], ['resource', ledger]])
  const token = await client.clientCredentialsGrant(await discover(), parameters)
  assert.equal(token.scope, 'book:read ledger:read')
})

test('an unknown resource is invalid_target', async () => {
  const grant = client.clientCredentialsGrant(await discover(), { scope: 'book:read', resource: 'https://elsewhere.example.com' })
  await assert.rejects(grant, { error: 'invalid_target', status: 400 })
})

test('the token opens the door, and is not passed on', async () => {
  const config = await discover()
  const token = await client.clientCredentialsGrant(config, { scope: 'book:*:read' })
  const response = await client.fetchProtectedResource(config, token.access_token, book, 'GET')
  assert.equal(response.status, 200)
  assert.deepEqual(await response.json(), { client: clientId, scope: 'book:*:read', authorization: '' })
})

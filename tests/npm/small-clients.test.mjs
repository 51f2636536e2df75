import { api, book, clientId, clientSecret, issuer } from './server.mjs'
import assert from 'node:assert/strict'
import test from 'node:test'
import { OAuth2Client } from '@badgateway/oauth2-client'
import { ClientCredentials } from 'simple-oauth2'

const open = async (token) => (await fetch(book, { headers: { authorization: `Bearer ${token}` } })).status

for (const authorizationMethod of ['header', 'body']) {
  for (const bodyFormat of ['form', 'json']) {
    test(`simple-oauth2 gets a token, credentials in the ${authorizationMethod}, as ${bodyFormat}`, async () => {
      const auth = { tokenHost: issuer, tokenPath: `${new URL(issuer).pathname.replace(/\/$/, '')}/oauth2/token` }
      const client = new ClientCredentials({ client: { id: clientId, secret: clientSecret }, auth, options: { authorizationMethod, bodyFormat } })
      const { token } = await client.getToken({ scope: ['book:*:read', 'book:*:edit'] })
      assert.equal(token.scope, 'book:*:read')
      assert.equal(token.rejected_scope, 'book:*:edit')
      assert.equal(await open(token.access_token), 200)
    })
  }
}

for (const authenticationMethod of ['client_secret_basic', 'client_secret_post', undefined]) {
  test(`@badgateway/oauth2-client discovers, gets a token and introspects it with ${authenticationMethod ?? 'its own choice'}`, async () => {
    const client = new OAuth2Client({
      server: issuer,
      discoveryEndpoint: `${issuer}/.well-known/openid-configuration`,
      clientId,
      clientSecret,
      authenticationMethod,
    })
    const token = await client.clientCredentials({ scope: ['book:*:read'], resource: [api] })
    assert.equal(await open(token.accessToken), 200)
    assert.ok(token.expiresAt > Date.now())
    const { active, scope } = await client.introspect(token)
    assert.deepEqual({ active, scope }, { active: true, scope: 'book:*:read' })
    await client.revoke(token)
    assert.deepEqual(await client.introspect(token), { active: false })
  })
}

// Tokens that are bound to a key of the client (DPoP), with the nonces that the server asks for.
import { book, issuer, privateKey } from './server.mjs'
import assert from 'node:assert/strict'
import test from 'node:test'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'

const insecure = { [oauth.allowInsecureRequests]: true }
const id = 'bound'
const scope = 'book:*:read'

for (const alg of ['ES256', 'RS256', 'PS256', 'Ed25519']) {
  test(`openid-client, ${alg}`, async () => {
    const auth = client.PrivateKeyJwt(await privateKey('ES256'))
    const config = await client.discovery(new URL(issuer), id, undefined, auth, { execute: [client.allowInsecureRequests] })
    assert.ok(config.serverMetadata().dpop_signing_alg_values_supported.includes(alg))
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair(alg))
    const token = await client.clientCredentialsGrant(config, { scope }, { DPoP })
    assert.equal(token.token_type, 'dpop')
    for (let call = 0; call < 2; call++) {
      const response = await client.fetchProtectedResource(config, token.access_token, book, 'GET', undefined, undefined, { DPoP })
      assert.equal(response.status, 200)
      assert.deepEqual(await response.json(), { client: id, scope, authorization: '' })
    }
    // The token without a proof, and with the proof of another key.
    await assert.rejects(client.fetchProtectedResource(config, token.access_token, book, 'GET'), { status: 401 })
    const other = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
    await assert.rejects(client.fetchProtectedResource(config, token.access_token, book, 'GET', undefined, undefined, { DPoP: other }), { status: 401 })
    // A client that must bind its tokens gets none without a proof.
    await assert.rejects(client.clientCredentialsGrant(config, { scope }), { error: 'invalid_dpop_proof' })
  })
}

test('oauth4webapi is told to use a nonce, and does', async () => {
  const url = new URL(issuer)
  const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
  const auth = oauth.PrivateKeyJwt(await privateKey('ES256'))
  const key = await oauth.generateKeyPair('ES256')
  const DPoP = oauth.DPoP({ client_id: id }, key)
  const nonces = []
  const retried = async (send) => send().catch((err) => {
    if (!oauth.isDPoPNonceError(err)) throw err
    nonces.push((err.response ?? err.cause)?.headers?.get?.('dpop-nonce') ?? true)
    return send()
  })
  const token = await retried(async () => {
    const response = await oauth.clientCredentialsGrantRequest(as, { client_id: id }, auth, { scope }, { DPoP, ...insecure })
    return oauth.processClientCredentialsResponse(as, { client_id: id }, response)
  })
  assert.equal(token.token_type, 'dpop')
  const response = await retried(() => oauth.protectedResourceRequest(token.access_token, 'GET', book, undefined, undefined, { DPoP, ...insecure }))
  assert.equal(response.status, 200)
  assert.ok(nonces.length >= 1, 'no nonce was asked for')
})

// Clients that sign assertions with their own key (private_key_jwt), from discovery over a token to a call through the door.
import { api, book, issuer, privateKey } from './server.mjs'
import assert from 'node:assert/strict'
import test from 'node:test'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'

const algs = ['ES256', 'RS256', 'PS256', 'EdDSA']
const id = 'keyed'
const insecure = { [oauth.allowInsecureRequests]: true }
const scope = 'book:*:read book:*:edit'

for (const alg of algs) {
  test(`openid-client, ${alg}`, async () => {
    const auth = client.PrivateKeyJwt(await privateKey(alg))
    const config = await client.discovery(new URL(issuer), id, undefined, auth, { execute: [client.allowInsecureRequests] })
    const metadata = config.serverMetadata()
    assert.ok(metadata.token_endpoint_auth_methods_supported.includes('private_key_jwt'))
    assert.ok(metadata.token_endpoint_auth_signing_alg_values_supported.includes(alg))
    for (let request = 0; request < 2; request++) {
      const token = await client.clientCredentialsGrant(config, { scope })
      assert.equal(token.scope, 'book:*:read')
      assert.equal(token.rejected_scope, 'book:*:edit')
      const response = await client.fetchProtectedResource(config, token.access_token, book, 'GET')
      assert.equal(response.status, 200)
      assert.equal((await response.json()).client, id)
    }
  })

  test(`oauth4webapi, ${alg}, at every endpoint`, async () => {
    const url = new URL(issuer)
    const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
    const auth = oauth.PrivateKeyJwt(await privateKey(alg))
    const response = await oauth.clientCredentialsGrantRequest(as, { client_id: id }, auth, { scope }, insecure)
    const { access_token: token } = await oauth.processClientCredentialsResponse(as, { client_id: id }, response)
    const get = () => oauth.protectedResourceRequest(token, 'GET', book, undefined, undefined, insecure)
    assert.equal((await get()).status, 200)
    const introspected = await oauth.introspectionRequest(as, { client_id: id }, auth, token, insecure)
    const { active, aud } = await oauth.processIntrospectionResponse(as, { client_id: id }, introspected)
    assert.deepEqual({ active, aud }, { active: true, aud: api })
    assert.equal(await oauth.processRevocationResponse(await oauth.revocationRequest(as, { client_id: id }, auth, token, insecure)), undefined)
    await assert.rejects(get(), oauth.WWWAuthenticateChallengeError)
  })
}

test('assertions that are not good', async () => {
  const url = new URL(issuer)
  const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
  const ask = async (auth, client_id = id) => {
    const response = await oauth.clientCredentialsGrantRequest(as, { client_id }, auth, { scope }, insecure)
    return oauth.processClientCredentialsResponse(as, { client_id }, response)
  }
  const changed = async (change) => oauth.PrivateKeyJwt(await privateKey('ES256'), { [oauth.modifyAssertion]: change })
  const used = { jti: '' }
  await ask(await changed((header, payload) => { used.jti = payload.jti }))
  const refused = {
    'a jti that was used': changed((header, payload) => { payload.jti = used.jti }),
    'the audience as an array': changed((header, payload) => { payload.aud = [payload.aud] }),
    'another audience': changed((header, payload) => { payload.aud = 'https://other.example.com' }),
    'no jti': changed((header, payload) => { delete payload.jti }),
    'years ahead': changed((header, payload) => { payload.exp += 1e8 }),
    'another kid': changed((header) => { header.kid = 'key-RS256' }),
  }
  const answers = new Set()
  for (const [name, auth] of Object.entries(refused)) {
    const err = await ask(await auth).then(() => assert.fail(name), (err) => err)
    answers.add(JSON.stringify([err.status ?? err.cause, await (err.response ?? err.cause)?.text?.()]))
  }
  assert.equal(answers.size, 1, [...answers].join('\n')) // nothing tells them apart
})

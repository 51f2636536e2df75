// Clients that authenticate with a certificate (RFC 8705), and tokens that are bound to it.
import { issuer, mtls, self } from './server.mjs'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { Agent, fetch as fetchWith } from 'undici'

const read = (name) => readFileSync(join(process.env.KEYS, name))
const scope = 'book:*:read'
const insecure = { [oauth.allowInsecureRequests]: true }

// A fetch whose connections present a certificate, or none.
function fetchAs(name) {
  const own = name ? { cert: read(`${name}.pem`), key: read(`${name}.key`) } : {}
  const dispatcher = new Agent({ connect: { ca: read('ca.pem'), ...own } })
  return (url, options) => fetchWith(url, { ...options, dispatcher })
}

// The server as a client sees that uses the endpoints of another site.
async function configure(id, site) {
  const metadata = { use_mtls_endpoint_aliases: true }
  const found = await client.discovery(new URL(issuer), id, metadata, client.TlsClientAuth(), { execute: [client.allowInsecureRequests] })
  const server = found.serverMetadata()
  assert.equal(server.tls_client_certificate_bound_access_tokens, true)
  assert.ok(server.token_endpoint_auth_methods_supported.includes('tls_client_auth'))
  assert.ok(server.token_endpoint_auth_methods_supported.includes('self_signed_tls_client_auth'))
  assert.equal(new URL(server.mtls_endpoint_aliases.token_endpoint).origin, mtls)
  if (site === mtls) return found
  const token_endpoint = site + new URL(server.token_endpoint).pathname
  return new client.Configuration({ ...server, mtls_endpoint_aliases: { token_endpoint } }, id, metadata, client.TlsClientAuth())
}

for (const [id, site] of Object.entries({ certified: mtls, selfsigned: self })) {
  test(`openid-client as ${id}`, async () => {
    const config = await configure(id, site)
    const book = new URL('/books/1', site)
    config[client.customFetch] = fetchAs(id)
    const token = await client.clientCredentialsGrant(config, { scope })
    assert.equal(token.token_type, 'bearer')
    const response = await client.fetchProtectedResource(config, token.access_token, book, 'GET')
    assert.deepEqual(await response.json(), { client: id, scope, authorization: '' })
    // The token with another certificate, and with none.
    for (const other of ['other', '']) {
      config[client.customFetch] = fetchAs(other)
      const isRefused = (err) => err.status === 401 || err.cause?.[0]?.parameters?.error === 'invalid_token' || err.error === 'invalid_client'
      await assert.rejects(client.fetchProtectedResource(config, token.access_token, book, 'GET'), isRefused)
      await assert.rejects(client.clientCredentialsGrant(config, { scope }), isRefused)
    }
  })
}

test('oauth4webapi, tls_client_auth', async () => {
  const url = new URL(issuer)
  const as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
  const own = { client_id: 'certified', use_mtls_endpoint_aliases: true }
  const options = { [oauth.customFetch]: fetchAs('certified') }
  const response = await oauth.clientCredentialsGrantRequest(as, own, oauth.TlsClientAuth(), { scope }, options)
  const { access_token: token } = await oauth.processClientCredentialsResponse(as, own, response)
  assert.equal((await oauth.protectedResourceRequest(token, 'GET', new URL('/books/1', mtls), undefined, undefined, options)).status, 200)
  const { cnf } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
  assert.deepEqual(Object.keys(cnf), ['x5t#S256'])
})

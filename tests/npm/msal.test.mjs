// Microsoft's library for Node with a certificate, against an authority of OpenID Connect. It signs an assertion with the key of
// the certificate, whose audience is the URL of the token endpoint.
import { mtls } from './server.mjs'
import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { ConfidentialClientApplication } from '@azure/msal-node'
import { Agent, fetch } from 'undici'

const read = (name) => readFileSync(join(process.env.KEYS, name))
const authority = `${mtls}/msal`
const dispatcher = new Agent({ connect: { ca: read('ca.pem') } })

// The library's requests, through a client that trusts the CA of this test.
const networkClient = {
  async send(method, url, { headers, body } = {}) {
    const response = await fetch(url, { method, headers, body, dispatcher })
    return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.json() }
  },
  sendGetRequestAsync(url, options) { return this.send('GET', url, options) },
  sendPostRequestAsync(url, options) { return this.send('POST', url, options) },
}

const application = () => new ConfidentialClientApplication({
  auth: {
    clientId: 'selfsigned',
    authority,
    knownAuthorities: [new URL(mtls).host],
    clientCertificate: {
      thumbprintSha256: createHash('sha256').update(new X509Certificate(read('selfsigned.pem')).raw).digest('hex'),
      privateKey: read('selfsigned.key').toString(),
    },
  },
  system: { protocolMode: 'OIDC', networkClient },
})

test('MSAL with a certificate gets a token, and calls the API', async () => {
  const app = application()
  const { accessToken } = await app.acquireTokenByClientCredential({ scopes: ['book:*:read'] })
  const response = await fetch(new URL('/books/1', mtls), {
    dispatcher,
    headers: { authorization: `Bearer ${accessToken}` },
  })
  assert.equal(response.status, 200)
  assert.equal((await response.json()).client, 'selfsigned')
  // It keeps the token.
  assert.equal((await app.acquireTokenByClientCredential({ scopes: ['book:*:read'] })).accessToken, accessToken)
})

// It sends the same assertion again for ten minutes, so a second request for a token in that time is a replay.
test('MSAL uses an assertion twice, which is refused', async () => {
  const app = application()
  await app.acquireTokenByClientCredential({ scopes: ['book:*:read'] })
  await assert.rejects(app.acquireTokenByClientCredential({ scopes: ['book:1:read'] }), { errorCode: 'invalid_client' })
})

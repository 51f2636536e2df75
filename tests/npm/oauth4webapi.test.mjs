import { alg, api, book, clientId, clientSecret, issuer, ledger, withPayloadOf } from './server.mjs'
import assert from 'node:assert/strict'
import test from 'node:test'
import * as oauth from 'oauth4webapi'

const client = { client_id: clientId }
const insecure = { [oauth.allowInsecureRequests]: true } // http, on loopback

async function discover(algorithm) {
  const url = new URL(issuer)
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm, ...insecure }))
}

const as = await discover('oauth2')

async function grant(scope, { auth = oauth.ClientSecretBasic(clientSecret), ...parameters } = {}) {
  const response = await oauth.clientCredentialsGrantRequest(as, client, auth, { scope, ...parameters }, insecure)
  return oauth.processClientCredentialsResponse(as, client, response)
}

// The challenge that a request is answered with, as the library parses it.
async function challenge(request) {
  const err = await request.then(() => assert.fail('no challenge'), (err) => err)
  assert.ok(err instanceof oauth.WWWAuthenticateChallengeError, err)
  assert.equal(err.cause.length, 1)
  const [{ scheme, parameters }] = err.cause
  return { status: err.status, response: err.response, scheme, ...parameters }
}

// The request that an API gets, for the library's resource server half.
function requestWith(token) {
  return new Request(book, { headers: { authorization: `Bearer ${token}` } })
}

test('discovery by oauth2 and by oidc agree', async () => {
  assert.deepEqual(await discover('oidc'), as)
  assert.ok(as.grant_types_supported.includes('client_credentials'))
  assert.deepEqual([...as.scopes_supported].sort(), ['book:*:edit', 'book:*:read', 'ledger:*:read'])
})

for (const method of ['ClientSecretBasic', 'ClientSecretPost']) {
  const auth = oauth[method]

  test(`${method} gets a token, and is told what was rejected`, async () => {
    const token = await grant('book:*:read book:*:edit', { auth: auth(clientSecret) })
    assert.equal(token.scope, 'book:*:read')
    assert.equal(token.rejected_scope, 'book:*:edit')
  })

  test(`${method} with nothing granted is invalid_scope`, async () => {
    await assert.rejects(grant('book:*:edit', { auth: auth(clientSecret) }), (err) => {
      assert.ok(err instanceof oauth.ResponseBodyError)
      assert.equal(err.error, 'invalid_scope')
      assert.equal(err.status, 400)
      assert.equal(err.cause.rejected_scope, 'book:*:edit')
      return true
    })
  })

  // Every 401 has a challenge (RFC 9110 §15.5.2), and the library reports that before the body.
  test(`${method} with a wrong secret is a Basic challenge with invalid_client`, async () => {
    const { status, scheme, response } = await challenge(grant('book:*:read', { auth: auth('wrong') }))
    assert.deepEqual({ status, scheme }, { status: 401, scheme: 'basic' })
    assert.equal((await response.json()).error, 'invalid_client')
  })
}

test('validateJwtAccessToken takes the token (RFC 9068)', async () => {
  const { access_token: token } = await grant('book:*:read')
  const claims = await oauth.validateJwtAccessToken(as, requestWith(token), api, { signingAlgorithms: [alg], ...insecure })
  assert.equal(claims.client_id, clientId)
  assert.equal(claims.sub, clientId)
  assert.equal(claims.scope, 'book:*:read')
})

test('validateJwtAccessToken refuses what is not meant', async () => {
  const { access_token: token } = await grant('book:*:read')
  const { access_token: other } = await grant('book:1:read')
  const refusals = [
    [token, ledger, { code: oauth.JWT_CLAIM_COMPARISON }], // another audience
    [withPayloadOf(token, other), api, { code: oauth.INVALID_RESPONSE }], // another payload
  ]
  for (const [text, audience, want] of refusals) {
    await assert.rejects(oauth.validateJwtAccessToken(as, requestWith(text), audience, insecure), want)
  }
})

function get(token, method = 'GET') {
  return oauth.protectedResourceRequest(token, method, book, undefined, undefined, insecure)
}

test('the door lets the token through', async () => {
  const response = await get((await grant('book:*:read')).access_token)
  assert.equal(response.status, 200)
})

test('the door challenges a token that does not cover the route', async () => {
  const { access_token: token } = await grant('book:*:read')
  const { status, scheme, error, scope, resource_metadata: metadata } = await challenge(get(token, 'PUT'))
  assert.deepEqual({ status, scheme, error, scope }, { status: 403, scheme: 'bearer', error: 'insufficient_scope', scope: 'book:1:edit' })
  assert.equal(metadata, `${api}/.well-known/oauth-protected-resource`)
})

test('the door challenges a token for another audience, and text that is none', async () => {
  const { access_token: token } = await grant('ledger:*:read')
  for (const text of [token, 'e.e.e']) {
    const { status, scheme, error } = await challenge(get(text))
    assert.deepEqual({ status, scheme, error }, { status: 401, scheme: 'bearer', error: 'invalid_token' })
  }
})

// A program that knows nothing but the API's URL.
test('without a token: the challenge names the metadata, and that the issuer (RFC 9728)', async () => {
  const withoutToken = { [oauth.customFetch]: (url) => fetch(url), ...insecure }
  const request = oauth.protectedResourceRequest('none', 'GET', book, undefined, undefined, withoutToken)
  const { status, error, resource_metadata: metadata } = await challenge(request)
  assert.deepEqual({ status, error }, { status: 401, error: undefined })
  const url = new URL(api)
  const response = await oauth.resourceDiscoveryRequest(url, insecure)
  assert.equal(response.url, metadata)
  const resource = await oauth.processResourceDiscoveryResponse(url, response)
  assert.deepEqual(resource.authorization_servers, [issuer])
  assert.deepEqual([...resource.scopes_supported].sort(), ['book:*:edit', 'book:*:read'])
  const token = await grant(resource.scopes_supported.join(' '), { resource: resource.resource })
  assert.equal(token.scope, 'book:*:read')
})

// What the issuer says of a token, and of one that has just been revoked.
for (const requestJwtResponse of [false, true]) {
  test(`introspection and revocation${requestJwtResponse ? ', as a signed response (RFC 9701)' : ''}`, async () => {
    const auth = oauth.ClientSecretBasic(clientSecret)
    const { access_token: token } = await grant('book:*:read')
    const introspect = async () => {
      const response = await oauth.introspectionRequest(as, client, auth, token, { requestJwtResponse, ...insecure })
      assert.equal(response.headers.get('content-type'), requestJwtResponse ? 'application/token-introspection+jwt' : 'application/json')
      const expecting = requestJwtResponse ? { ...client, introspection_signed_response_alg: alg } : client
      const answer = await oauth.processIntrospectionResponse(as, expecting, response)
      if (requestJwtResponse) await oauth.validateApplicationLevelSignature(as, response, insecure)
      return answer
    }
    const { active, client_id, aud, scope, token_type } = await introspect()
    assert.deepEqual({ active, client_id, aud, scope, token_type }, { active: true, client_id: clientId, aud: api, scope: 'book:*:read', token_type: 'Bearer' })
    assert.equal((await get(token)).status, 200)
    const revoked = await oauth.revocationRequest(as, client, auth, token, insecure)
    assert.equal(await oauth.processRevocationResponse(revoked), undefined)
    assert.deepEqual({ ...(await introspect()) }, { active: false })
    const { status, error } = await challenge(get(token))
    assert.deepEqual({ status, error }, { status: 401, error: 'invalid_token' })
  })
}

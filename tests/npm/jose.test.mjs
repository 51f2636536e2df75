import { alg, api, clientId, clientSecret, issuer, ledger, withPayloadOf } from './server.mjs'
import assert from 'node:assert/strict'
import test from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const keys = createRemoteJWKSet(new URL(`${issuer}/oauth2/jwks`))

// What a careful API asks of an access token (RFC 9068 §4).
const expected = {
  typ: 'at+jwt',
  issuer,
  audience: api,
  algorithms: [alg],
  requiredClaims: ['sub', 'client_id', 'exp', 'iat', 'jti', 'scope'],
}

async function tokenFor(scope) {
  const response = await fetch(`${issuer}/oauth2/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret, scope }),
  })
  assert.equal(response.status, 200)
  return (await response.json()).access_token
}

test('a token verifies against the remote key set', async () => {
  const { payload, protectedHeader } = await jwtVerify(await tokenFor('book:*:read'), keys, expected)
  assert.deepEqual(Object.keys(protectedHeader).sort(), ['alg', 'kid', 'typ'])
  assert.equal(payload.client_id, clientId)
  assert.equal(payload.sub, clientId)
  assert.equal(payload.scope, 'book:*:read')
  assert.equal(payload.exp - payload.iat, 600)
})

test('the audience follows the resources of the scopes', async () => {
  const { payload } = await jwtVerify(await tokenFor('book:read ledger:read'), keys, expected)
  assert.deepEqual([...payload.aud].sort(), [api, ledger].sort())
})

const refusals = {
  'another audience': [{ audience: ledger }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
  'another issuer': [{ issuer: 'https://elsewhere.example.com' }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
  'another type': [{ typ: 'JWT' }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
  'another algorithm': [{ algorithms: ['ES384'] }, 'ERR_JOSE_ALG_NOT_ALLOWED'],
  'after its end': [{ currentDate: new Date(Date.now() + 3600_000) }, 'ERR_JWT_EXPIRED'],
}
for (const [name, [change, code]] of Object.entries(refusals)) {
  test(`a token is refused for ${name}`, async () => {
    await assert.rejects(jwtVerify(await tokenFor('book:*:read'), keys, { ...expected, ...change }), { code })
  })
}

test("a token with another one's payload is refused", async () => {
  const forged = withPayloadOf(await tokenFor('book:*:read'), await tokenFor('book:1:read'))
  await assert.rejects(jwtVerify(forged, keys, expected), { code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' })
})

// Issuers from npm, each with another kind of key, and one door that takes the tokens of all of them.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'

import { OAuth2Server } from 'oauth2-mock-server'
import { Provider } from 'oidc-provider'

const api = 'https://api.example.com'
const client = { id: 'ci-bot', secret: 'a-secret-of-this-test-only-0123456789' }
const stop = []
let door

function jwk(type, options, members) {
  const { privateKey } = generateKeyPairSync(type, options)
  return { ...privateKey.export({ format: 'jwk' }), ...members }
}

// Keys of all kinds, which name no algorithm.
const keys = () => ({
  keys: [
    jwk('rsa', { modulusLength: 2048 }, { kid: 'rsa', use: 'sig' }),
    jwk('ec', { namedCurve: 'P-256' }, { kid: 'ec', use: 'sig' }),
    jwk('ed25519', {}, { kid: 'ed', use: 'sig' }),
  ],
})

async function listen(handler) {
  const server = createServer(handler)
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  stop.push(() => server.close())
  return `http://127.0.0.1:${server.address().port}`
}

// A panva/node-oidc-provider that signs JWTs for the API with one algorithm.
async function startProvider(alg) {
  let provider
  const issuer = await listen((request, response) => provider.callback()(request, response))
  provider = new Provider(issuer, {
    jwks: keys(),
    clients: [{
      client_id: client.id, client_secret: client.secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    }],
    scopes: ['book:read'],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => api,
        getResourceServerInfo: () => ({
          scope: 'book:read', audience: api, accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg } },
        }),
      },
    },
  })
  return issuer
}

async function tokenOf(issuer, path = '/token') {
  const response = await fetch(issuer + path, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'book:read' }),
  })
  const body = await response.json()
  assert.equal(response.status, 200, JSON.stringify(body))
  return body.access_token
}

const ask = (token) => fetch(`${door}/books`, { headers: { authorization: `Bearer ${token}` } })

const decode = (part) => JSON.parse(Buffer.from(part, 'base64url'))

const algs = ['RS256', 'PS256', 'RS512', 'ES256', 'EdDSA', 'Ed25519']
const providers = {}
const mock = new OAuth2Server()

before(async () => {
  for (const alg of algs) providers[alg] = await startProvider(alg)
  await mock.issuer.keys.generate('RS256')
  await mock.start(0, '127.0.0.1')
  stop.push(() => mock.stop())
  const mockURL = `http://127.0.0.1:${mock.address().port}`
  mock.issuer.url = mockURL
  const free = await listen(() => {})
  door = `http://127.0.0.1:${Number(new URL(free).port)}`
  stop.pop()()
  const named = { PS256: 'alg PS256', RS512: 'alg RS384 RS512' }
  writeFileSync(`${process.env.WORK}/Caddyfile`, `{
	admin off
	persist_config off
	default_bind 127.0.0.1
}

${door} {
	m2m_auth {
		audience ${api}
${algs.map((alg) => `		issuer ${providers[alg]} {\n			${named[alg] ?? 'max_stale 1h'}\n		}`).join('\n')}
		issuer ${mockURL} {
			typ JWT
			client_id ${client.id}
			allow_missing aud sub jti typ
			scope_claim realm_access.roles
			ignore_parameter jku x5c
		}
		require GET /books book:read
	}
	respond {http.auth.user.client_id}
}
`)
  const caddy = spawn(process.env.CADDY, ['run', '--config', `${process.env.WORK}/Caddyfile`], {
    env: { ...process.env, XDG_DATA_HOME: process.env.WORK, XDG_CONFIG_HOME: process.env.WORK }, stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  caddy.stderr.on('data', (text) => { log += text })
  stop.push(() => caddy.kill())
  for (let attempt = 0; ; attempt++) {
    if (await fetch(`${door}/books`).catch(() => null)) break
    assert.ok(attempt < 300 && caddy.exitCode === null, `the door does not start: ${log}`)
    await wait(100)
  }
})

after(async () => { for (const end of stop.reverse()) await end() })

for (const alg of algs) {
  test(`oidc-provider, ${alg}, by a key that names no algorithm`, async () => {
    const token = await tokenOf(providers[alg])
    const [header, claims] = token.split('.').slice(0, 2).map(decode)
    assert.equal(header.alg, alg)
    assert.equal(claims.iss, providers[alg])
    const answer = await ask(token)
    assert.equal(`${answer.status} ${await answer.text()}`, `200 ${client.id}`)
    const other = await tokenOf(providers[alg === 'ES256' ? 'RS256' : 'ES256'])
    const forged = [other.split('.')[0], token.split('.')[1], other.split('.')[2]].join('.')
    assert.equal((await ask(forged)).status, 401)
  })
}

test('oauth2-mock-server: no aud, nested roles, a list of clients', async () => {
  const mint = async (change) => {
    mock.service.once('beforeTokenSigning', (token) => {
      delete token.payload.scope
      Object.assign(token.payload, { client_id: client.id, realm_access: { roles: ['offline_access', 'book:read'] } })
      change(token)
    })
    const answer = await ask(await tokenOf(mock.issuer.url))
    return answer.status === 200 ? `200 ${await answer.text()}` : `${answer.status} ${(await answer.json()).reason}`
  }
  assert.equal(await mint(() => {}), `200 ${client.id}`)
  assert.equal(await mint((token) => { token.header.jku = `${mock.issuer.url}/jwks` }), `200 ${client.id}`)
  assert.equal(await mint((token) => { token.payload.client_id = 'another' }), '401 wrong_client')
  assert.equal(await mint((token) => { token.payload.aud = 'https://other.example.com' }), '401 wrong_audience')
  assert.equal(await mint((token) => { token.payload.aud = [api] }), `200 ${client.id}`)
  assert.equal(await mint((token) => { token.payload.realm_access.roles = ['offline_access'] }), '403 insufficient_scope')
  assert.equal(await mint((token) => { token.header.jwk = {} }), '401 unsupported')
  assert.equal(await mint((token) => { delete token.header.kid }), `200 ${client.id}`)
})

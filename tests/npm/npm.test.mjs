// npm itself, installing a scoped package from a registry behind a door: it asks for /@scope%2fname, and for tarballs with a
// plain slash. The registry is below /npm/ of the API, and sees the very bytes of npm's requests.
import './server.mjs'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { alg, api, clientId, clientSecret, issuer } from './server.mjs'

const run = promisify(execFile)
const base = new URL('/npm/', api)
const name = '@acme/lib'
const seen = []
const skip = alg !== 'ES256' && 'npm does not read tokens, so one algorithm is enough'
let folder, registry

const npm = (...args) => run('npm', args, { cwd: join(folder, 'app'), env: { ...process.env, npm_config_cache: join(folder, 'cache') } })

before(async () => {
  if (skip) return
  folder = await mkdtemp(join(tmpdir(), 'npm-'))
  const lib = join(folder, 'lib')
  await run('mkdir', ['-p', lib, join(folder, 'app')])
  await writeFile(join(lib, 'package.json'), JSON.stringify({ name, version: '1.0.0' }))
  await writeFile(join(folder, 'app', 'package.json'), JSON.stringify({ name: 'app', version: '1.0.0' }))
  await run('npm', ['pack'], { cwd: lib })
  const tarball = await readFile(join(lib, 'acme-lib-1.0.0.tgz'))
  const dist = { tarball: new URL(`${name}/-/lib-1.0.0.tgz`, base).href, integrity: 'sha512-' + createHash('sha512').update(tarball).digest('base64') }
  const packument = { name, 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': { name, version: '1.0.0', dist } } }
  registry = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['x-client-id'] ?? ''}${request.headers.authorization ?? ''}`)
    if (request.url === '/npm/@acme%2flib') response.setHeader('Content-Type', 'application/json').end(JSON.stringify(packument))
    else if (request.url === '/npm/@acme/lib/-/lib-1.0.0.tgz') response.end(tarball)
    else response.writeHead(404).end('{}')
  })
  await new Promise(listening => registry.listen(new URL(process.env.NPM_REGISTRY).port, '127.0.0.1', listening))
})

after(async () => {
  if (skip) return
  registry.close()
  await rm(folder, { recursive: true, force: true })
})

async function useToken(scope) {
  const credentials = Buffer.from(`${encodeURIComponent(clientId)}:${clientSecret}`).toString('base64')
  const response = await fetch(`${issuer}/oauth2/token`, {
    method: 'POST', headers: { Authorization: `Basic ${credentials}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope }),
  })
  const { access_token: token } = await response.json()
  await writeFile(join(folder, 'app', '.npmrc'), `registry=${base.href}\n//${base.host}/npm/:_authToken=${token}\naudit=false\nfund=false\n`)
}

test('npm installs a scoped package through a door', { skip }, async () => {
  await useToken('book:*:read')
  const { stdout } = await npm('install', name)
  assert.match(stdout, /added 1 package/)
  assert.deepEqual(seen, [`GET /npm/@acme%2flib ${clientId}`, `GET /npm/@acme/lib/-/lib-1.0.0.tgz ${clientId}`])
})

test('npm is refused without a scope for the package', { skip }, async () => {
  await useToken('book:@acme%2Fother:read')
  seen.length = 0
  await assert.rejects(npm('view', name), /E403/)
  await useToken('book:@acme%2Flib:read')
  const { stdout } = await npm('view', name, 'version')
  assert.equal(stdout.trim(), '1.0.0')
  assert.deepEqual(seen, [`GET /npm/@acme%2flib ${clientId}`])
})

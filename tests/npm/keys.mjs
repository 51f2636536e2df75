// Makes the keys and certificates of clients that have no secret, in the folder OUT, and prints the clients' part of a registry.
//
//   OUT=folder node keys.mjs
import { execFileSync } from 'node:child_process'
import { X509Certificate, generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const out = process.env.OUT
const grants = 'grants: [{resource: book, identifiers: ["*"], actions: [read]}]'
const kinds = { ES256: ['ec', { namedCurve: 'P-256' }], RS256: ['rsa', { modulusLength: 2048 }], PS256: ['rsa', { modulusLength: 2048 }], EdDSA: ['ed25519', {}] }

// The keys of "keyed". Without alg, an RSA key is one for RS256.
const jwks = { keys: [] }
for (const [alg, kind] of Object.entries(kinds)) {
  const { privateKey, publicKey } = generateKeyPairSync(...kind)
  writeFileSync(join(out, `${alg}.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }))
  jwks.keys.push({ ...publicKey.export({ format: 'jwk' }), kid: `key-${alg}`, use: 'sig', alg })
}

const openssl = (...args) => execFileSync('openssl', args, { cwd: out, stdio: ['ignore', 'ignore', 'pipe'] })
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-addext', 'basicConstraints=critical,CA:FALSE']

// A CA, the certificate of the server, and that of the client "certified", whose name is in a SAN.
openssl('req', '-x509', ...newKey.slice(0, -2), '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Test CA')
for (const [name, san, usage] of [['server', 'DNS:localhost', 'serverAuth'], ['certified', 'DNS:certified.example.com', 'clientAuth'], ['other', 'DNS:other.example.com', 'clientAuth']]) {
  const extensions = ['-addext', `subjectAltName=${san}`, '-addext', `extendedKeyUsage=${usage}`]
  openssl('req', '-x509', ...newKey, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`, ...extensions)
}

// A certificate that its client has signed: for self_signed_tls_client_auth, and for MSAL, which needs an RSA key.
openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', 'selfsigned.key', '-out', 'selfsigned.pem', '-subj', '/CN=selfsigned')
const der = execFileSync('openssl', ['x509', '-in', 'selfsigned.pem', '-outform', 'der'], { cwd: out })
const own = { ...new X509Certificate(der).publicKey.export({ format: 'jwk' }), alg: 'PS256', x5c: [der.toString('base64')] }

console.log(`  keyed:
    auth: private_key_jwt
    jwks: ${JSON.stringify(jwks)}
    ${grants}
  certified:
    auth: tls_client_auth
    tls_client_auth_san_dns: certified.example.com
    tls_client_certificate_bound_access_tokens: true
    ${grants}
  selfsigned:
    jwks: ${JSON.stringify({ keys: [own] })}
    ${grants}
  bound:
    auth: private_key_jwt
    jwks: ${JSON.stringify(jwks)}
    dpop_bound_access_tokens: true
    ${grants}`)

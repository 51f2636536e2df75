// The server under test, as the environment names it. Imported first by every test.
import { webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { importPKCS8 } from 'jose'

// Node 18 has these, but not as globals, where the libraries look for them.
globalThis.crypto ??= webcrypto
globalThis.CryptoKey ??= webcrypto.CryptoKey

function required(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set; tests/npm/run sets it`)
  return value
}

export const issuer = required('ISSUER')
export const clientId = required('CLIENT_ID')
export const clientSecret = required('CLIENT_SECRET')
export const api = required('API')
export const alg = process.env.ALG ?? 'ES256'

// The audience of the registry's resource that is not behind the API's door.
export const ledger = 'https://ledger.example.com'

export const book = new URL('/books/1', api)

// A token that its bearer has changed: its payload is another token's.
export function withPayloadOf(token, other) {
  const parts = token.split('.')
  parts[1] = other.split('.')[1]
  return parts.join('.')
}

// The issuer and a door on https, where clients present a certificate of a CA, or one of their own.
export const mtls = required('MTLS')
export const self = required('SELF')

// A private key of the client "keyed", as WebCrypto has it, and its kid.
export async function privateKey(alg) {
  const pem = readFileSync(join(required('KEYS'), `${alg}.pem`), 'utf8')
  return { key: await importPKCS8(pem, alg), kid: `key-${alg}` }
}

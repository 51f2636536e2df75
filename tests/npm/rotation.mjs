// Verifies tokens, a line each, with the keys that an issuer publishes, and answers "ok", or why not. The keys are kept for
// the second that they may be, and not asked for before. tests/cluster runs it while keys rotate.
import readline from 'node:readline'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const issuer = process.argv[2]
const keys = createRemoteJWKSet(new URL(`${issuer}/oauth2/jwks`), { cacheMaxAge: 1000, cooldownDuration: 30_000 })

for await (const token of readline.createInterface({ input: process.stdin })) {
  try {
    await jwtVerify(token, keys, { issuer, clockTolerance: 60 })
    console.log('ok')
  } catch (error) {
    console.log(`${error.code}: ${error.message}`)
  }
}

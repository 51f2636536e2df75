// Package token makes and verifies access tokens: signing keys, the claims of RFC 9068, and a verification that is strict
// about every byte of a token. Start with Mint, SigningKey.Sign and Verifier. The package imports only the plain leaves of
// this module.
//
// A token is a JWT in JWS compact serialization (RFC 7519, RFC 7515). Before any cryptography, Verify checks that
//
//   - the token has at most MaxTokenSize bytes and three parts of canonical base64url, so that no two texts are the same
//     token;
//   - the header is one JSON object without repeated members, with alg, kid and typ, and without parameters that carry a
//     key, point to one or change what the signature means;
//   - kid names a known key, and alg is the only algorithm of that key;
//   - the signature has the length that the key gives.
//
// Then it checks the signature, reads the payload and checks the claims, in this order. Errors carry a Reason, a short
// stable code, and never any text of the token.
//
// The JOSE library handles keys, JWKs and thumbprints. Only jose.go uses it, and none of its types is in the API
// of this package.
package token

// Package token makes access tokens and checks them: signing keys, the claims of RFC 9068, and a
// verification that is strict about every byte of a token.
//
// A token is a JWT in JWS compact serialization (RFC 7519, RFC 7515). Verify takes it through a
// gate before any cryptography sees it, and the rules are:
//
//   - at most MaxTokenSize bytes: three parts of the base64url alphabet, each in the one spelling
//     that its bytes have, so that no two texts are the same token;
//   - the header is one JSON object without repeated members, with alg, kid and typ, and with none
//     of the parameters that carry a key, point to one, or change what a signature means;
//   - kid names a known key, and alg is the one algorithm of that key;
//   - the signature has exactly the length that its key gives.
//
// Only then is the signature checked, only then is the payload read, and only then do its claims
// count. Errors carry a Reason, a short stable code, and never any text of the token.
//
// The JOSE library is trusted with keys, signing and the signature check alone. It is used in
// jose.go and nowhere else, and none of its types is in this package's API.
package token

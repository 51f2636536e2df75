package token

var wycheproofSignatures = map[string]Alg{
	"ecdsa_secp256r1_sha256_p1363": ES256,
	"ecdsa_secp384r1_sha384_p1363": ES384,
	"ecdsa_secp521r1_sha512_p1363": ES512,
	"ed25519":                      EdDSA,
	"rsa_signature_2048_sha256":    RS256,
	"rsa_signature_2048_sha384":    RS384,
	"rsa_signature_2048_sha512":    RS512,
	"rsa_signature_3072_sha256":    RS256,
	"rsa_signature_3072_sha384":    RS384,
	"rsa_signature_3072_sha512":    RS512,
	"rsa_signature_4096_sha256":    RS256,
	"rsa_signature_4096_sha384":    RS384,
	"rsa_signature_4096_sha512":    RS512,
	"rsa_signature_8192_sha256":    RS256,
	"rsa_signature_8192_sha384":    RS384,
	"rsa_signature_8192_sha512":    RS512,
	"rsa_pss_2048_sha256_mgf1_32":  PS256,
	"rsa_pss_3072_sha256_mgf1_32":  PS256,
	"rsa_pss_4096_sha256_mgf1_32":  PS256,
	"rsa_pss_2048_sha384_mgf1_48":  PS384,
	"rsa_pss_4096_sha384_mgf1_48":  PS384,
	"rsa_pss_4096_sha512_mgf1_64":  PS512,
}

// Reasons why a vector's result is not ours.
const (
	symmetric     = "an HMAC: an issuer's secret is not shared with who verifies, so that symmetric keys are never taken"
	emptyPayload  = "valid as a JWS, but a JWT has claims, so that no part of it is empty"
	keyAlgDiffers = "the token's alg is not that of the JWK: one algorithm per key (RFC 8725 3.1)"
	unknownAlg    = "the JWK says ES521, which is not the name of an algorithm (RFC 7518 3.1)"
	factorable    = "a factorable key that a faulty chip made (ROCA): keys are taken on their issuer's word, bounded by size and exponent, and not attacked to find out"
	smallExponent = "the key's exponent is 3: keys below 65537 are refused (FIPS 186-5 A.1.1)"
	sameSalt      = "refused there as the salt is not empty; its 32 bytes are those of RFC 7518 3.5"
)

// wycheproofExceptions are the vectors whose result differs, by file and tcId.
var wycheproofExceptions = map[string]map[int]string{
	"json_web_signature": {
		1:   symmetric,
		259: emptyPayload, 264: emptyPayload, 268: emptyPayload, 272: emptyPayload, 320: emptyPayload, 325: emptyPayload,
		346: keyAlgDiffers, 350: keyAlgDiffers,
		347: unknownAlg, 351: unknownAlg,
		348: symmetric, 352: symmetric, 357: symmetric, 358: symmetric, 359: symmetric,
		372: symmetric, 373: symmetric, 376: symmetric, 377: symmetric,
	},
	"json_web_key": {
		2: symmetric, 13: symmetric, 14: symmetric, 15: symmetric,
		7: factorable,
	},
	"rsa_signature_2048_sha256":  {258: smallExponent, 259: smallExponent},
	"rsa_signature_2048_sha512":  {259: smallExponent},
	"rsa_signature_3072_sha256":  {259: smallExponent},
	"rsa_signature_3072_sha512":  {260: smallExponent},
	"rsa_pss_2048_sha256_mgf1_0": {69: sameSalt},
}

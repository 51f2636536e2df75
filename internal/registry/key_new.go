package registry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
)

// PublicKey returns a key of the standard library as a Key. Its kid is its thumbprint. A key that says nothing of its algorithm
// has none.
func PublicKey(public crypto.PublicKey) (Key, error) {
	var j publicJWK
	text := base64.RawURLEncoding.EncodeToString
	switch key := public.(type) {
	case *rsa.PublicKey:
		j = publicJWK{KTY: "RSA", N: text(key.N.Bytes()), E: text(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return Key{}, errKeyType
		}
		size := (len(point) - 1) / 2
		j = publicJWK{KTY: "EC", CRV: key.Curve.Params().Name, X: text(point[1 : 1+size]), Y: text(point[1+size:])}
	case ed25519.PublicKey:
		j = publicJWK{KTY: "OKP", CRV: "Ed25519", X: text(key)}
	}
	if _, err := j.public(); err != nil {
		return Key{}, err
	}
	return j.key().Named(""), nil
}

// Named returns the key with a kid. If that is "", and the key has none either, the kid is the thumbprint.
func (k Key) Named(kid string) Key {
	switch {
	case kid != "":
		k.ID = kid
	case k.ID == "":
		k.ID = k.Thumbprint
	}
	k.jwk.KID = k.ID
	return k
}

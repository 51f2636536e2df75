package assertion

import (
	"sync"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// standIns are public keys of each kind, in place of those of a client that does not exist. Their private keys were thrown away,
// and no signature of theirs is ever accepted.
var standIns = sync.OnceValue(func() *token.KeySet {
	keys, _, err := token.ParseKeySet([]byte(standInJWKS))
	if err != nil {
		panic(err) // a test parses them
	}
	return keys
})

// anyAlg are all algorithms, so that each has a key of standIns.
var anyAlg = sync.OnceValue(func() []token.Alg {
	algs, err := token.ParseAcceptedAlgs(token.AcceptedAlgs())
	if err != nil {
		panic(err)
	}
	return algs
})

const standInJWKS = `{"keys":[
	{"kty":"RSA","e":"AQAB","n":"zPM30hqj0-0fNgdhLxjLLZAqp9n3Nz696jQ3z3RfW4k4foys8bqaLn7eu9wk62V19WyQrkX42NiFiwdnWqgoPRdCwCZm-8S6YBSMn2s_ZHZowjZeXLz6sORpMCxWYkNTGj2cxL8whsikX10mfDRZfr4TCN6UGNhK9umPl-wsYa7DHvwU7rtaHfE_17pSb1hctHt7lTAW78SvXEJ0GoBorRKBocEsWrX7sAXYm0fhJYaBS0JkPflWrs74wqPZWNmqJKNDGTFuSLUZTB-GaFabRNXrkywgMjHoWSOJ5rE4q7mCqmZeSQh5E8VpEOAwVjzG40IAdQtwIuZb1dmJVfk4zw"},
	{"kty":"EC","crv":"P-256","x":"At_M5SKftwqVmM8b56Z-dfwAMD2MSNs0ghHS-3LRx48","y":"q4uxbcZiT9_ew6aVIzwWszj0KTg8TcQzX_bgXwvWBZ8"},
	{"kty":"EC","crv":"P-384","x":"Kc0O_Zm2V4ftNdzE06XfTs8lNcLcFpr9WQmI1igIAy0hN2Eyg9or71kgmRzzWMzO","y":"8HpUCA-zcBJTWACy572A2ozdSV5frrfqq-XIg2SYs88hTRueLmJ4H_y2R9gP4Gcc"},
	{"kty":"EC","crv":"P-521","x":"AA9BAwmC9KZr1MklHw0TIf6zHr_KCbxJQsEYXwrxyzdg3bB4moB4KIBpl7UryWtZFWispEg_wmKsNMvDGomMl63w","y":"AYGnAhbQ7NVeQtRCp0mXVMoeIiRzdfujPSCbwVg7D4e5_oJ3o_M3hpYzVLz2arIl-Bd6mK4QH0NfEWkbURFcGC7D"},
	{"kty":"OKP","crv":"Ed25519","x":"0F2oLF-OOh05Z8Ea8bobKBOG8s2yGaKBU3kFnGfKv30"}
]}`

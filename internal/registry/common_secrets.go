package registry

import (
	"crypto/sha256"
	"sync"
)

// commonSecrets are secrets that people choose. They never work, because CheckSecret refuses them. A hash of one is an
// error because its author expects it to work.
var commonSecrets = []string{
	"0", "000000", "111111", "123", "1234", "12345", "123456", "1234567", "12345678", "123456789", "1234567890",
	"123123", "abc123", "abcd1234", "access", "admin", "admin123", "administrator", "bearer", "caddy", "change-me",
	"change_me", "changeit", "changeme", "client", "client-secret", "client_secret", "clientsecret", "default", "demo",
	"dev", "development", "dragon", "example", "foo", "foobar", "guest", "hello", "hunter2", "iloveyou", "key",
	"keycloak", "letmein", "login", "m2m", "master", "monkey", "oauth", "oauth2", "p@ssw0rd", "pass", "passw0rd",
	"password", "Password", "Password1", "password1", "password123", "placeholder", "private", "prod", "production",
	"qwerty", "qwerty123", "root", "s3cr3t", "sample", "secret", "Secret", "secret123", "secretkey", "secret_key",
	"service", "sunshine", "supersecret", "super-secret", "system", "temp", "test", "test123", "tester", "testing",
	"token", "toor", "user", "welcome", "your-secret", "xxx",
}

var commonSecretHashes = sync.OnceValue(func() map[[32]byte]bool {
	hashes := make(map[[32]byte]bool, len(commonSecrets))
	for _, secret := range commonSecrets {
		hashes[sha256.Sum256([]byte(secret))] = true
	}
	return hashes
})

// weakness says what the hash is of if that is easily guessed: an empty text, the client's id, or a common secret. It does
// not say which secret.
func weakness(hash [32]byte, clientID string) string {
	switch {
	case hash == sha256.Sum256(nil):
		return "an empty text"
	case hash == sha256.Sum256([]byte(clientID)):
		return "the client's own id"
	case commonSecretHashes()[hash]:
		return "a well-known password"
	}
	return ""
}

package caddymodule

// SetMaxRevokedByClient changes how many tokens a client can have revoked, until the test ends.
func SetMaxRevokedByClient(t interface{ Cleanup(func()) }, most int) {
	before := maxRevokedByClient
	maxRevokedByClient = most
	t.Cleanup(func() { maxRevokedByClient = before })
}

# Rules of this issuer, besides the shipped ones, which grant what the client's grants cover. Edit this
# file while the server runs: once saved, it decides the next token request. If it does not compile,
# the server logs the file and line and keeps using the last good version.
package m2m.token

# An extra claim in every token; "caddy m2m inspect" shows it.
claims["environment"] := "dev"

# No token is valid for longer than five minutes.
ttl contains 300

# Change false to true, and no client gets a scope to edit books, whatever its grants.
frozen := false

rejected contains {"scope": s.raw, "reason": "the catalogue is frozen"} if {
	frozen
	some s in input.scopes
	s.resource in {"book", "*"}
	s.action in {"edit", "*"}
}

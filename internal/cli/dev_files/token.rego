# What this issuer adds to the rules that ship, which grant what the client's grants cover. Edit and
# save it while the server runs: the next token request is decided by what you saved. When it does
# not compile, the server logs file and line, and the last good one stays in force.
package m2m.token

# A claim of your own in every token; "caddy m2m inspect" shows it.
claims["environment"] := "dev"

# No token is valid for longer than five minutes.
ttl contains 300

# Make false into true, and nobody gets a scope that edits books, whatever the grants say.
frozen := false

rejected contains {"scope": s.raw, "reason": "the catalogue is frozen"} if {
	frozen
	some s in input.scopes
	s.resource in {"book", "*"}
	s.action in {"edit", "*"}
}

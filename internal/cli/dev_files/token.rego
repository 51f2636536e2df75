# Rules in addition to the shipped ones, which grant what the client's grants cover. Edit the file while
# the server runs: the saved version decides the next token request. If it does not compile, the server
# logs file and line, and the last good version stays in force.
package m2m.token

# A custom claim in every token; "caddy m2m inspect" shows it.
claims["environment"] := "dev"

# No token is valid for longer than five minutes.
ttl contains 300

# Change false to true, and no client gets a scope that edits books, whatever its grants are.
frozen := false

rejected contains {"scope": s.raw, "reason": "the catalogue is frozen"} if {
	frozen
	some s in input.scopes
	s.resource in {"book", "*"}
	s.action in {"edit", "*"}
}

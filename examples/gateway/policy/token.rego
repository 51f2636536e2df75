# What this gateway adds to the rules that ship. Edit it while the server runs: the next token
# request is decided by what you saved.
package m2m.token

# A custom claim: the client's team, as the registry has it.
claims["team"] := input.client.attributes.team

# No client outside the platform team holds a token for longer than five minutes.
ttl contains 300 if not input.client.attributes.team == "platform"

# Nobody edits while the catalogue is frozen, nor when catalogue.json, next to this file, does not
# say that it is not.
rejected contains {"scope": s.raw, "reason": "the catalogue is frozen"} if {
	not data.catalogue.frozen == false
	some s in input.scopes
	s.resource == "book"
	s.action in {"edit", "*"}
}

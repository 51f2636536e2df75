# The rules that this gateway adds to the shipped ones. Edit the file while the server runs: the saved
# version decides the next token request.
package m2m.token

# A custom claim: the client's team, from the registry.
claims["team"] := input.client.attributes.team

# Tokens of clients outside the platform team live for at most five minutes.
ttl contains 300 if not input.client.attributes.team == "platform"

# Rejects edits unless catalogue.json, next to this file, says that the catalogue is not frozen. A
# missing value rejects, too.
rejected contains {"scope": s.raw, "reason": "the catalogue is frozen"} if {
	not data.catalogue.frozen == false
	some s in input.scopes
	s.resource == "book"
	s.action in {"edit", "*"}
}

package m2m.token

# METADATA
# description: A token that edits is valid for a minute. The smallest of all ttl counts, the issuer's and the client's too.
ttl contains 60 if {
	some s in input.scopes
	s.action in {"edit", "*"}
	s.raw in granted
}

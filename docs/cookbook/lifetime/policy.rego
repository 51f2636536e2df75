package m2m.token

# METADATA
# description: A token that may edit is valid for a minute. The smallest ttl applies, including the issuer's and the client's.
ttl contains 60 if {
	some s in input.scopes
	s.action in {"edit", "*"}
	s.raw in granted
}

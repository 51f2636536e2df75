package m2m.token

# METADATA
# description: Only clients of the platform team may edit. "not" also rejects a client without the attribute.
rejected contains {"scope": s.raw, "reason": "not of the platform team"} if {
	not input.client.attributes.team == "platform"
	some s in input.scopes
	s.action in {"edit", "*"}
}

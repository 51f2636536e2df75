package m2m.token

rejected contains {"scope": s.raw, "reason": "the client is on the deny list"} if {
	input.client.id in data.deny.clients
	some s in input.scopes
}

# METADATA
# scope: rule
# description: Without the list, this rule rejects every scope. A missing list would otherwise deny no client.
rejected contains {"scope": s.raw, "reason": "there is no deny list"} if {
	not data.deny.clients
	some s in input.scopes
}

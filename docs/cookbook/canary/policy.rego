package m2m.token

# METADATA
# description: >-
#   On trial: what this would reject is logged and counted, and granted all the same. When the log shows
#   nothing that should go on, "observed" becomes "rejected".
observed contains {"scope": s.raw, "reason": "every book at once"} if {
	some s in input.scopes
	s.identifier == "*"
	not input.client.attributes.bulk
}

package m2m.token

# METADATA
# description: >-
#   A rule on trial: what it would reject is logged and counted, but still granted. When the log shows only
#   scopes that should be rejected, change "observed" to "rejected".
observed contains {"scope": s.raw, "reason": "every book at once"} if {
	some s in input.scopes
	s.identifier == "*"
	not input.client.attributes.bulk
}

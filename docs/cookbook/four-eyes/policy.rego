package m2m.token

import data.m2m.scope

# METADATA
# description: A deletion needs a recent approval by two people, for this client and this scope.
rejected contains {"scope": s.raw, "reason": "not approved by two"} if {
	some s in input.scopes
	s.action in {"delete", "*"}
	not _approved(s)
}

_approved(s) if {
	some approval in data.approvals
	approval.client == input.client.id
	time.parse_rfc3339_ns(approval.until) > time.now_ns()
	scope.covers(scope.parse(approval.scope), s)
	count({person | some person in approval.by}) >= 2
}

# The shipped policy. A scope is granted if one of the client's grants covers it completely. It is
# rejected, whatever grants it, if the registry does not have its resource or its action, or if a
# deny grant overlaps it. All scopes are rejected if the client has networks and asks from another
# address. Reasons are stable: "unknown resource", "unknown action", "denied by a grant" and "source
# network"; a scope that remains has "no grant covers it".
#
# Every token request evaluates these rules. So each asks about all scopes at once.
#
# This comment is not METADATA: a package may have package METADATA only once, and an author's file
# of this package may need it.
package m2m.token

import data.m2m.scope

granted contains raw if some raw in scope.covered(input.client.grants, input.scopes)

rejected contains {"scope": raw, "reason": "unknown resource"} if {
	some raw in scope.unknown_resource(input.resources, input.scopes)
}

rejected contains {"scope": raw, "reason": "unknown action"} if {
	some raw in scope.unknown_action(input.resources, input.scopes)
}

# A token for book:*:read would also open the book that is denied, so an overlap is enough.
rejected contains {"scope": raw, "reason": "denied by a grant"} if {
	some raw in scope.denied(input.client.grants, input.scopes)
}

# An invalid address, or one with a zone, is in no network. The suffix makes the address a network,
# which is checked first, because net.cidr_contains would fail.
rejected contains {"scope": s.raw, "reason": "source network"} if {
	input.client.networks != []
	[network |
		net.cidr_is_valid(concat("/", [input.request.remote_ip, "32"]))
		some network in input.client.networks
		net.cidr_contains(network, input.request.remote_ip)
	] == []
	some s in input.scopes
}

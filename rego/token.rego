# The shipped policy. A scope is granted if one of the client's grants covers it completely. It is
# rejected, whatever grants it, if the registry does not have its resource or its action, or if a
# deny grant overlaps it. All scopes are rejected if the client has networks and asks from another
# address. Reasons are stable: "unknown resource", "unknown action", "denied by a grant" and "source
# network"; a scope that remains has "no grant covers it".
#
# Every token request evaluates these rules. So each rule begins with the condition that most grants
# fail, and reads parts of the input in place. m2m.grants offers the same sets to other policies.
# This policy uses only its denied set, and only for clients with deny grants.
#
# This comment is not METADATA: a package may have package METADATA only once, and an author's file
# of this package may need it.
package m2m.token

import data.m2m.grants
import data.m2m.scope

# A grant on a resource by name, and on identifiers by name or on all.
granted contains s.raw if {
	some s in input.scopes
	some i
	input.client.grants[i].resource == s.resource
	input.client.grants[i].effect == "allow"
	input.client.grants[i].actions[_] == [s.action, "*"][_]
	[s.identifier, "*"][_] in input.client.grants[i].identifiers
}

# A grant on identifiers by prefix.
granted contains s.raw if {
	some grant in input.client.grants
	some identifier in grant.identifiers
	endswith(identifier, "*")
	identifier != "*"
	grant.effect == "allow"
	some s in input.scopes
	s.resource == grant.resource
	startswith(s.identifier, trim_suffix(identifier, "*"))
	grant.actions[_] == [s.action, "*"][_]
}

# A grant on every resource.
granted contains s.raw if {
	some grant in input.client.grants
	grant.resource == "*"
	grant.effect == "allow"
	some s in input.scopes
	scope.grant_covers(grant, s)
}

rejected contains {"scope": s.raw, "reason": reason} if {
	some s in input.scopes
	not s.action in object.get(input.resources, s.resource, {"actions": []}).actions
	reason := _unknown(s)
}

# A token for book:*:read would also open the book that is denied, so an overlap is enough.
rejected contains {"scope": raw, "reason": "denied by a grant"} if {
	[grant | some grant in input.client.grants; grant.effect == "deny"] != []
	some raw in grants.denied
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

# "*" is not the name of a resource or an action.
_unknown(s) := "unknown resource" if {
	s.resource != "*"
	not input.resources[s.resource]
}

_unknown(s) := "unknown action" if {
	s.action != "*"
	input.resources[s.resource]
}

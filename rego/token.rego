# The policy that ships. A scope is granted when one of the client's grants covers it whole. It is
# rejected when the registry does not know its resource or its action, or when a deny grant overlaps
# it, whatever grants it. All are
# rejected when the client has networks and asks from elsewhere. Reasons are stable: "unknown
# resource", "unknown action", "denied by a grant" and "source network"; a scope that is left over
# has "no grant covers it".
#
# Every token request asks for these rules, so each begins with what most grants are not, and
# reads parts of the input where they stand. The sets of m2m.grants are the same, for other policies;
# here only what is denied comes from there, where a client has deny grants at all.
#
# This is no METADATA: a package has that once, and authors' files of this package may want it.
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

# A token for book:*:read would reach the one book that is denied, so overlapping is enough.
rejected contains {"scope": raw, "reason": "denied by a grant"} if {
	[grant | some grant in input.client.grants; grant.effect == "deny"] != []
	some raw in grants.denied
}

# What is no address, or has a zone, is in no network. The length makes it a network of its own,
# which is asked first, for net.cidr_contains would fail.
rejected contains {"scope": s.raw, "reason": "source network"} if {
	input.client.networks != []
	[network |
		net.cidr_is_valid(concat("/", [input.request.remote_ip, "32"]))
		some network in input.client.networks
		net.cidr_contains(network, input.request.remote_ip)
	] == []
	some s in input.scopes
}

# "*" is no resource's name, and no action's.
_unknown(s) := "unknown resource" if {
	s.resource != "*"
	not input.resources[s.resource]
}

_unknown(s) := "unknown action" if {
	s.action != "*"
	input.resources[s.resource]
}

# METADATA
# title: The requested scopes, by the client's grants and the registry
# description: >-
#   Sets of requested scopes, as they were written, for policies that replace the shipped one. The
#   shipped policy computes the same. It uses only denied, and only for clients with deny grants,
#   because sets of sets cost time.
# scope: subpackages
# schemas:
#   - input: schema.token.input
package m2m.grants

import data.m2m.scope

# METADATA
# scope: document
# description: >-
#   Scopes that an allow grant covers completely. The comprehensions are indexed: they run once for
#   all scopes, and each scope looks up the entries of its resource and action.
covered contains s.raw if {
	some s in input.scopes
	some action in [s.action, "*"]
	resource := s.resource
	prefixes := {trim_suffix(identifier, "*") |
		some grant in _allowing
		grant.resource = resource
		grant.actions[_] = action
		some identifier in grant.identifiers
		endswith(identifier, "*")
	}
	strings.any_prefix_match(s.identifier, prefixes)
}

covered contains s.raw if {
	some s in input.scopes
	some action in [s.action, "*"]
	resource := s.resource
	identifiers := {identifier |
		some grant in _allowing
		grant.resource = resource
		grant.actions[_] = action
		some identifier in grant.identifiers
	}
	s.identifier in identifiers
}

covered contains s.raw if {
	some grant in _allowing
	grant.resource == "*"
	some s in input.scopes
	scope.grant_covers(grant, s)
}

# METADATA
# description: >-
#   Scopes that a deny grant overlaps: a token for book:*:read would also open the book that is
#   denied.
denied contains s.raw if {
	some s in input.scopes
	some resource in object.get(_wildcard, s.resource, [s.resource, "*"])
	some action in object.get(_wildcard, s.action, [s.action, "*"])
	[identifiers, prefixes] := _denials[[resource, action]]
	_any_overlaps(identifiers, prefixes, s.identifier)
}

# METADATA
# description: Scopes whose resource is not in the registry. "*" is not the name of a resource.
unknown_resource contains s.raw if {
	some resource in (({s.resource | some s in input.scopes} - object.keys(input.resources)) - {"*"})
	some s in input.scopes
	s.resource == resource
}

# METADATA
# description: Scopes whose resource is in the registry but does not have their action.
unknown_action contains s.raw if {
	some s in input.scopes
	s.action != "*"
	resource := input.resources[s.resource]
	not s.action in resource.actions
}

_allowing := [grant |
	some grant in input.client.grants
	grant.effect == "allow"
]

# The denied identifiers and prefixes, by resource and action. Scopes look up their entries, because
# comparing each scope with every grant would take too long. The first inner comprehension is
# indexed; a lookup of a missing key would be slow, so no key is missing.
_denials := {key: [identifiers, prefixes] |
	some key in {denial.key | some denial in _keyed_denials}
	identifiers := {identifier |
		some denial in _keyed_denials
		denial.key = key
		some identifier in denial.identifiers
	}
	prefixes := {trim_suffix(identifier, "*") |
		some identifier in identifiers
		endswith(identifier, "*")
	}
}

# All are also under "", for scopes on every resource or every action.
_keyed_denials := [{"key": [resource, action], "identifiers": grant.identifiers} |
	some grant in input.client.grants
	grant.effect == "deny"
	some resource in [grant.resource, ""]
	some granted in grant.actions
	some action in [granted, ""]
]

_wildcard := {"*": [""]}

_any_overlaps(identifiers, _, identifier) if identifier in identifiers

_any_overlaps(_, prefixes, identifier) if strings.any_prefix_match(identifier, prefixes)

_any_overlaps(identifiers, _, identifier) if {
	endswith(identifier, "*")
	strings.any_prefix_match(identifiers, trim_suffix(identifier, "*"))
}

# METADATA
# title: What the client's grants and the registry say of the requested scopes
# description: >-
#   Sets of requested scopes, as they were written, for policies that decide otherwise than the one
#   that ships. That one finds the same, and asks only for denied, of clients with deny grants:
#   sets of sets cost time.
# scope: subpackages
# schemas:
#   - input: schema.token.input
package m2m.grants

import data.m2m.scope

# METADATA
# scope: document
# description: >-
#   Scopes that an allow grant covers whole. The comprehensions are indexed: they run once for all
#   scopes, and each scope finds what is kept for its resource and action.
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
#   Scopes that a deny grant overlaps: a token for book:*:read would reach the one book that is
#   denied.
denied contains s.raw if {
	some s in input.scopes
	some resource in object.get(_wildcard, s.resource, [s.resource, "*"])
	some action in object.get(_wildcard, s.action, [s.action, "*"])
	[identifiers, prefixes] := _denials[[resource, action]]
	_any_overlaps(identifiers, prefixes, s.identifier)
}

# METADATA
# description: Scopes whose resource is not in the registry. "*" is no resource's name.
unknown_resource contains s.raw if {
	some resource in (({s.resource | some s in input.scopes} - object.keys(input.resources)) - {"*"})
	some s in input.scopes
	s.resource == resource
}

# METADATA
# description: Scopes whose resource is in the registry and does not have their action.
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

# What is denied, by resource and action: identifiers, and what those that are prefixes begin with.
# Scopes look up what they need, for holding each against every grant would take too long. The
# first comprehension within is indexed; keys that it lacks would be slow, so there are none.
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

# All are under "", too: what a scope on every resource or every action overlaps.
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

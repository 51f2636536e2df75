# METADATA
# title: What the client's grants and the registry say of the requested scopes
# description: >-
#   Sets of requested scopes, as they were written, for policies that decide otherwise than the one
#   that ships. That one finds the same, and does not ask for these: sets of sets cost time.
# scope: subpackages
# schemas:
#   - input: schema.token.input
package m2m.grants

import data.m2m.scope

# METADATA
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
	some grant in input.client.grants
	grant.effect == "deny"
	some s in input.scopes
	scope.grant_overlaps(grant, s)
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

# METADATA
# title: The scope algebra
# description: >-
#   The meaning of scopes. A scope is resource:identifier:action, an object with the keys resource,
#   identifier and action; parse makes one from text. A resource and an action are a literal or "*";
#   an identifier may also end in "*", and is then a prefix.
package m2m.scope

# METADATA
# title: parse(raw)
# description: >-
#   The scope of a text; undefined if the text is malformed. Short forms are completed: book is
#   book:*:*, and the second of two segments is an action.
parse(raw) := {"raw": raw, "resource": resource, "identifier": identifier, "action": action} if {
	count(raw) <= 512
	[resource, identifier, action] := _segments(raw)
	regex.match(`^(\*|[!#-)+-9;-\[\]-~]+)$`, resource)
	regex.match(`^([!#-)+-\[\]-~]+\*?|\*)$`, identifier)
	regex.match(`^(\*|[!#-)+-9;-\[\]-~]+)$`, action)
}

# METADATA
# scope: document
# title: covers(a, b)
# description: Whether scope a includes every (resource, identifier, action) of scope b.
default covers(_, _) := false

covers(a, b) if {
	a.resource in {"*", b.resource}
	a.action in {"*", b.action}
	identifier_covers(a.identifier, b.identifier)
}

# METADATA
# scope: document
# title: overlaps(a, b)
# description: Whether scopes a and b have a (resource, identifier, action) in common.
default overlaps(_, _) := false

overlaps(a, b) if {
	_names_overlap(a.resource, b.resource)
	_names_overlap(a.action, b.action)
	_identifiers_overlap(a.identifier, b.identifier)
}

# METADATA
# scope: document
# title: grant_covers(grant, scope)
# description: >-
#   Whether a grant, whatever its effect, covers the whole scope. Narrower grants never add up
#   to a wildcard.
default grant_covers(_, _) := false

grant_covers(grant, scope) if {
	grant.resource in {"*", scope.resource}
	some action in grant.actions
	action in {"*", scope.action}
	some identifier in grant.identifiers
	identifier_covers(identifier, scope.identifier)
}

# METADATA
# scope: document
# title: grant_overlaps(grant, scope)
# description: >-
#   Whether a grant, whatever its effect, has a (resource, identifier, action) in common with a
#   scope.
default grant_overlaps(_, _) := false

grant_overlaps(grant, scope) if {
	_names_overlap(grant.resource, scope.resource)
	some action in grant.actions
	_names_overlap(action, scope.action)
	some identifier in grant.identifiers
	_identifiers_overlap(identifier, scope.identifier)
}

# METADATA
# scope: document
# title: identifier_covers(a, b)
# description: Whether a includes every identifier of b.
default identifier_covers(_, _) := false

identifier_covers(a, b) if a == b

identifier_covers(a, b) if {
	endswith(a, "*")
	startswith(b, trim_suffix(a, "*"))
}

# METADATA
# title: covered(grants, scopes)
# description: >-
#   The scopes, as they were written, that an allow grant covers completely. Two narrower grants do not cover a scope
#   together. This function and the next three take all scopes at once. Use them instead of a loop over grants and scopes,
#   which takes long for clients with many grants.
covered(grants, scopes) := {s.raw |
	some s in scopes
	some grant in grants
	grant.effect == "allow"
	grant_covers(grant, s)
}

# METADATA
# title: denied(grants, scopes)
# description: >-
#   The scopes that a deny grant overlaps: a token for book:*:read would also open the book that is
#   denied.
denied(grants, scopes) := {s.raw |
	some s in scopes
	some grant in grants
	grant.effect == "deny"
	grant_overlaps(grant, s)
}

# METADATA
# title: unknown_resource(resources, scopes)
# description: The scopes whose resource is not one of the resources. "*" is not the name of a resource.
unknown_resource(resources, scopes) := {s.raw |
	some s in scopes
	s.resource != "*"
	not resources[s.resource]
}

# METADATA
# title: unknown_action(resources, scopes)
# description: The scopes whose resource is one of the resources but does not have their action.
unknown_action(resources, scopes) := {s.raw |
	some s in scopes
	s.action != "*"
	resource := resources[s.resource]
	not s.action in resource.actions
}

_names_overlap(a, b) if a == b

_names_overlap("*", _)

_names_overlap(_, "*")

_identifiers_overlap(a, b) if identifier_covers(a, b)

_identifiers_overlap(a, b) if identifier_covers(b, a)

# The first segment is the resource and the last is the action. The text between them,
# including colons, is the identifier.
_segments(raw) := [raw, "*", "*"] if not contains(raw, ":")

_segments(raw) := [parts[0], "*", parts[1]] if {
	parts := split(raw, ":")
	count(parts) == 2
}

_segments(raw) := [parts[0], identifier, parts[last]] if {
	parts := split(raw, ":")
	last := count(parts) - 1
	last >= 2
	identifier := concat(":", array.slice(parts, 1, last))
}

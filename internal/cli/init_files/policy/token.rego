# METADATA
# title: What tokens may hold
# description: >-
#   These rules add to the ones that ship: every scope that the client's grants cover is granted already,
#   and what a rejection names is refused, whoever grants it. A decision sees "input" (schemas/token) and
#   the data files of this folder, and nothing else.
package m2m.token

import data.m2m.scope

# METADATA
# description: >-
#   Nobody edits while the catalogue is frozen (catalogue.yaml). A scope may be a wildcard, so "*" is
#   caught with "edit": a token for book:* could edit.
rejected contains {"scope": s.raw, "reason": "the catalogue is frozen"} if {
	data.catalogue.frozen
	some s in input.scopes
	s.resource in {"book", "*"}
	s.action in {"edit", "*"}
}

# METADATA
# description: >-
#   Clients of a team have its shelf, book:<team>-…, without a grant. What is undefined does not hold: a
#   client without the attribute gets nothing by this rule.
granted contains s.raw if {
	shelf := sprintf("%s-*", [input.client.attributes.team])
	some s in input.scopes
	s.resource == "book"
	s.action == "read"
	scope.identifier_covers(shelf, s.identifier)
}

# METADATA
# description: Tokens that edit are valid for five minutes. The smallest of all lifetimes counts.
ttl contains 300 if {
	some s in input.scopes
	s.action in {"edit", "*"}
	s.raw in granted
}

# METADATA
# description: A claim of your own; "header X-Client-Team team" at the door tells the upstream.
claims["team"] := input.client.attributes.team

# METADATA
# description: >-
#   A rule on trial: it is logged and counted, and rejects nothing. Make "observed" into "rejected" when the
#   log shows nothing that should go on.
observed contains {"scope": s.raw, "reason": "every book at once"} if {
	some s in input.scopes
	s.identifier == "*"
	s.action in {"edit", "*"}
}

# METADATA
# title: What tokens may hold
# description: >-
#   These rules add to the shipped ones, which grant every scope that the client's grants cover. A rejection
#   takes precedence over every grant. A decision sees only "input" (schemas/token) and the data files of
#   this folder.
package m2m.token

import data.m2m.scope

# METADATA
# description: >-
#   Rejects edits while the catalogue is frozen (catalogue.yaml). A scope may be a wildcard, so the rule
#   also catches "*": a token for book:* could edit.
rejected contains {"scope": s.raw, "reason": "the catalogue is frozen"} if {
	data.catalogue.frozen
	some s in input.scopes
	s.resource in {"book", "*"}
	s.action in {"edit", "*"}
}

# METADATA
# description: >-
#   Clients of a team may read its books, book:<team>-…, without a grant. An undefined condition does not
#   hold, so a client without the attribute gets nothing from this rule.
granted contains s.raw if {
	shelf := sprintf("%s-*", [input.client.attributes.team])
	some s in input.scopes
	s.resource == "book"
	s.action == "read"
	scope.identifier_covers(shelf, s.identifier)
}

# METADATA
# description: Tokens that may edit are valid for five minutes. The smallest of all lifetimes applies.
ttl contains 300 if {
	some s in input.scopes
	s.action in {"edit", "*"}
	s.raw in granted
}

# METADATA
# description: A custom claim; "header X-Client-Team team" at the door passes it to the upstream.
claims["team"] := input.client.attributes.team

# METADATA
# description: >-
#   A rule on trial: it is logged and counted, and rejects nothing. Change "observed" to "rejected" when the
#   log shows only scopes that should be rejected.
observed contains {"scope": s.raw, "reason": "every book at once"} if {
	some s in input.scopes
	s.identifier == "*"
	s.action in {"edit", "*"}
}

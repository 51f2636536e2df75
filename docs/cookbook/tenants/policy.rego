package m2m.token

import data.m2m.scope

# METADATA
# description: A client gets the books whose identifiers begin with its tenant, without a grant.
granted contains s.raw if {
	prefix := concat("", [input.client.attributes.tenant, "-*"])
	some s in input.scopes
	s.resource == "book"
	s.action in {"read", "edit"}
	scope.identifier_covers(prefix, s.identifier)
}

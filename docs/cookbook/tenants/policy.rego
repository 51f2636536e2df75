package m2m.token

import data.m2m.scope

# METADATA
# description: A client has the books whose identifiers begin with its tenant, and needs no grant for them.
granted contains s.raw if {
	prefix := concat("", [input.client.attributes.tenant, "-*"])
	some s in input.scopes
	s.resource == "book"
	s.action in {"read", "edit"}
	scope.identifier_covers(prefix, s.identifier)
}

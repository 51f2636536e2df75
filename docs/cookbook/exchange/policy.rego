package m2m.token

# METADATA
# description: The API of books may read shelves for callers that may read books. It needs the grant itself.
beyond_subject contains {"scope": s.raw, "reason": "books are on shelves"} if {
	input.client.id == "books-api"
	some s in input.scopes
	s.resource == "shelf"
	s.action == "read"
	some has in input.subject.scopes
	has.resource == "book"
	has.action in {"read", "*"}
}

# METADATA
# description: Only clients with an attribute act for others.
rejected contains {"scope": s.raw, "reason": "may not act for others"} if {
	input.subject.client_id != input.client.id
	not input.client.attributes.acts_for_others
	some s in input.scopes
}

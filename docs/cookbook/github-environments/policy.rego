package m2m.identity

# METADATA
# description: >-
#   A job of acme/books in the environment production is the client books-production, and so on.
clients contains concat("-", [repository, input.identity.claims.environment]) if {
	input.identity.issuer == "https://token.actions.githubusercontent.com"
	[owner, repository] := split(input.identity.claims.repository, "/")
	owner == "acme"
	input.identity.claims.repository_owner_id == "1234567"
}

denied contains {"reason": "a pull request"} if {
	input.identity.issuer == "https://token.actions.githubusercontent.com"
	input.identity.claims.event_name in {"pull_request", "pull_request_target"}
}

package m2m.token

# METADATA
# description: A request without scope is for everything that the client's grants allow.
default_scopes contains concat(":", [grant.resource, identifier, action]) if {
	some grant in input.client.grants
	grant.effect == "allow"
	some identifier in grant.identifiers
	some action in grant.actions
}

package m2m.token

default_scopes contains "book:read"

default_scopes contains "invoice:read" if {
	some grant in input.client.grants
	grant.resource == "invoice"
}

package default_scopes_test

import data.m2m.scope
import data.m2m.token

test_of_every_client if {
	token.default_scopes == {"book:read"} with input as request(ci_bot, [])
}

test_of_those_with_invoices if {
	grant := {"resource": "invoice", "identifiers": ["*"], "actions": ["read"], "effect": "allow"}
	with_invoices := object.union(ci_bot, {"grants": [grant]})
	token.default_scopes == {"book:read", "invoice:read"} with input as request(with_invoices, [])
}

ci_bot := {
	"id": "ci-bot", "description": "", "attributes": {}, "audiences": [], "networks": [],
	"grants": [{"resource": "book", "identifiers": ["*"], "actions": ["*"], "effect": "allow"}],
}

request(client, raws) := {
	"issuer": "https://auth.example.com",
	"client": client,
	"scopes": [scope.parse(raw) | some raw in raws],
	"resources": {"book": {"actions": ["read", "edit", "delete"], "audience": "", "attributes": {}}},
	"request": {"remote_ip": "192.0.2.1", "auth_method": "client_secret_basic", "audience": []},
}

package claim_test

import data.m2m.scope
import data.m2m.token

test_with_a_tenant if {
	token.claims == {"tenant": "acme"} with input as request(with_attributes({"tenant": "acme"}), ["book:read"])
}

test_without if {
	token.claims == {} with input as request(with_attributes({}), ["book:read"])
}

with_attributes(attributes) := {
	"id": "ci-bot", "description": "", "attributes": attributes, "audiences": [], "networks": [],
	"grants": [{"resource": "book", "identifiers": ["*"], "actions": ["*"], "effect": "allow"}],
}

request(client, raws) := {
	"issuer": "https://auth.example.com",
	"client": client,
	"scopes": [scope.parse(raw) | some raw in raws],
	"resources": {"book": {"actions": ["read", "edit", "delete"], "audience": "", "attributes": {}}},
	"request": {"remote_ip": "192.0.2.1", "auth_method": "client_secret_basic", "audience": []},
}

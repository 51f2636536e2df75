package canary_test

import data.m2m.scope
import data.m2m.token

test_observed_and_granted if {
	asked := request(with_attributes({}), ["book:read", "book:1:read"])
	token.observed == {{"scope": "book:read", "reason": "every book at once"}} with input as asked
	token.rejected == set() with input as asked
	token.granted == {"book:read", "book:1:read"} with input as asked
}

test_not_observed if {
	token.observed == set() with input as request(with_attributes({"bulk": true}), ["book:read"])
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

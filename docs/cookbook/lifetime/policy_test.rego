package lifetime_test

import data.m2m.scope
import data.m2m.token

test_a_token_that_edits if {
	every raw in ["book:edit", "book:1:edit", "book"] {
		token.ttl == {60} with input as request(ci_bot, ["book:read", raw])
	}
}

test_a_token_that_does_not if {
	token.ttl == set() with input as request(ci_bot, ["book:read", "film:edit"])
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

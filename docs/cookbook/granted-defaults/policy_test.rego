package granted_defaults_test

import data.m2m.scope
import data.m2m.token

test_every_grant_that_allows if {
	token.default_scopes == {"book:*:read", "invoice:2026-*:read", "invoice:2026-*:pay"} with input as request(ci_bot, [])
}

test_none_without_grants if {
	token.default_scopes == set() with input as request(object.union(ci_bot, {"grants": []}), [])
}

test_they_are_granted_except_what_a_deny_grant_overlaps if {
	asked := request(ci_bot, ["book:*:read", "invoice:2026-*:read", "invoice:2026-*:pay"])
	token.granted == {"book:*:read", "invoice:2026-*:read", "invoice:2026-*:pay"} with input as asked
	rejected := {r.scope | some r in token.rejected} with input as asked
	rejected == {"invoice:2026-*:pay"}
}

ci_bot := {
	"id": "ci-bot", "description": "", "attributes": {}, "audiences": [], "networks": [],
	"grants": [
		{"resource": "book", "identifiers": ["*"], "actions": ["read"], "effect": "allow"},
		{"resource": "invoice", "identifiers": ["2026-*"], "actions": ["read", "pay"], "effect": "allow"},
		{"resource": "invoice", "identifiers": ["2026-07-*"], "actions": ["pay"], "effect": "deny"},
	],
}

request(client, raws) := {
	"issuer": "https://auth.example.com",
	"client": client,
	"scopes": [scope.parse(raw) | some raw in raws],
	"resources": {
		"book": {"actions": ["read", "edit"], "audience": "", "attributes": {}},
		"invoice": {"actions": ["read", "pay"], "audience": "", "attributes": {}},
	},
	"request": {"remote_ip": "192.0.2.1", "auth_method": "client_secret_basic", "audience": []},
}

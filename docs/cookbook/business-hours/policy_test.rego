package business_hours_test

import data.m2m.scope
import data.m2m.token

monday_noon := time.parse_rfc3339_ns("2026-03-02T12:00:00+01:00")

sunday_noon := time.parse_rfc3339_ns("2026-03-01T12:00:00+01:00")

test_open if {
	token.rejected == set() with input as request(ci_bot, ["book:read", "book:edit"])
		with time.now_ns as monday_noon
}

test_closed if {
	refused := {r.scope | some r in token.rejected} with input as request(ci_bot, ["book:read", "book:edit", "book:*"])
		with time.now_ns as sunday_noon
	refused == {"book:edit", "book:*"}
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

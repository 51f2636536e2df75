package source_networks_test

import data.m2m.scope
import data.m2m.token

test_from_the_office if {
	every ip in ["192.0.2.7", "2001:db8::7"] {
		token.rejected == set() with input as from(ip)
	}
}

test_from_elsewhere if {
	every ip in ["198.51.100.1", ""] {
		token.rejected == {{"scope": "book:read", "reason": "not from the office"}} with input as from(ip)
	}
}

from(ip) := object.union(request(ci_bot, ["book:read"]), {"request": {"remote_ip": ip}})

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

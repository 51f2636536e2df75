package deny_list_test

import data.m2m.scope
import data.m2m.token

test_listed if {
	reasons("old-bot") == {"the client is on the deny list"}
}

test_not_listed if {
	reasons("ci-bot") == set()
}

test_no_list if {
	found := reasons("ci-bot") with data.deny as {}
	found == {"there is no deny list"}
}

reasons(id) := {r.reason |
	rejected := token.rejected with input as request(client(id), ["book:read"])
	some r in rejected
}

client(id) := {
	"id": id, "description": "", "attributes": {}, "audiences": [], "networks": [],
	"grants": [{"resource": "book", "identifiers": ["*"], "actions": ["*"], "effect": "allow"}],
}

request(client, raws) := {
	"issuer": "https://auth.example.com",
	"client": client,
	"scopes": [scope.parse(raw) | some raw in raws],
	"resources": {"book": {"actions": ["read", "edit", "delete"], "audience": "", "attributes": {}}},
	"request": {"remote_ip": "192.0.2.1", "auth_method": "client_secret_basic", "audience": []},
}

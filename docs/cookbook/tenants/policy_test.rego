package tenants_test

import data.m2m.scope
import data.m2m.token

test_a_tenant_has_its_own if {
	raws := ["book:acme-1:read", "book:acme-*:edit", "book:other-1:read", "book:read", "book:acme-1:delete"]
	granted := token.granted with input as request(of_tenant({"tenant": "acme"}), raws)
	granted == {"book:acme-1:read", "book:acme-*:edit"}
}

test_without_a_tenant_there_is_nothing if {
	token.granted == set() with input as request(of_tenant({}), ["book:acme-1:read"])
}

of_tenant(attributes) := {
	"id": "ci-bot", "description": "", "attributes": attributes, "audiences": [], "networks": [],
	"grants": [],
}

request(client, raws) := {
	"issuer": "https://auth.example.com",
	"client": client,
	"scopes": [scope.parse(raw) | some raw in raws],
	"resources": {"book": {"actions": ["read", "edit", "delete"], "audience": "", "attributes": {}}},
	"request": {"remote_ip": "192.0.2.1", "auth_method": "client_secret_basic", "audience": []},
}

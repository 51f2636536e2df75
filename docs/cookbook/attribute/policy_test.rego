package attribute_test

import data.m2m.scope
import data.m2m.token

test_of_the_team if {
	token.rejected == set() with input as request(with_attributes({"team": "platform"}), ["book:edit"])
}

test_of_another_team_and_of_none if {
	every attributes in [{"team": "catalogue"}, {}, {"team": ["platform"]}] {
		asked := request(with_attributes(attributes), ["book:read", "book:edit", "book"])
		{r.scope | some r in token.rejected} == {"book:edit", "book"} with input as asked
	}
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

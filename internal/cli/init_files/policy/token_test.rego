package m2m.token_test

import data.m2m.scope
import data.m2m.token

test_a_frozen_catalogue_is_not_edited if {
	rejected := token.rejected with input as request({}, ["book:read", "book:1:edit", "book"])
		with data.catalogue.frozen as true
	{r.scope | some r in rejected} == {"book:1:edit", "book"}
}

test_otherwise_nothing_is_rejected if {
	token.rejected == set() with input as request({}, ["book:read", "book:1:edit"])
		with data.catalogue.frozen as false
}

test_a_team_reads_its_shelf if {
	raws := ["book:arts-1:read", "book:arts-*:read", "book:law-1:read", "book:read", "book:arts-1:edit"]
	granted := token.granted with input as request({"team": "arts"}, raws)
	granted == {"book:arts-1:read", "book:arts-*:read", "book:arts-1:edit"}
}

test_without_a_team_there_is_no_shelf if {
	token.granted == set() with input as request({}, ["book:arts-1:read"])
}

test_tokens_that_edit_are_short if {
	token.ttl == {300} with input as request({}, ["book:1:edit"])
	token.ttl == set() with input as request({}, ["book:1:read"])
}

test_the_team_is_a_claim if {
	token.claims == {"team": "arts"} with input as request({"team": "arts"}, ["book:1:edit"])
	token.claims == {} with input as request({}, ["book:1:edit"])
}

test_editing_everything_is_observed if {
	observed := token.observed with input as request({}, ["book:edit", "book:1:edit", "book:read"])
	{r.scope | some r in observed} == {"book:edit"}
}

# A client that may edit every book asks for scopes.
request(attributes, raws) := {
	"issuer": "https://auth.example.com",
	"client": {
		"id": "ci-bot",
		"description": "",
		"attributes": attributes,
		"audiences": [],
		"networks": [],
		"grants": [{"resource": "book", "identifiers": ["*"], "actions": ["edit"], "effect": "allow"}],
	},
	"scopes": [scope.parse(raw) | some raw in raws],
	"resources": {"book": {"actions": ["read", "edit"], "audience": "https://api.example.com", "attributes": {}}},
	"request": {"remote_ip": "192.0.2.1", "auth_method": "client_secret_basic", "audience": []},
}

package exchange_test

import data.m2m.scope
import data.m2m.token

test_shelves_for_readers_of_books if {
	asked := exchange("books-api", ["book:*:read"], ["shelf:1:read", "book:1:read"])
	token.beyond_subject == {{"scope": "shelf:1:read", "reason": "books are on shelves"}} with input as asked
	token.granted == {"shelf:1:read", "book:1:read"} with input as asked
	token.rejected == set() with input as asked
}

test_no_shelves_for_others if {
	token.beyond_subject == set() with input as exchange("books-api", ["film:read"], ["shelf:1:read"])
	token.beyond_subject == set() with input as exchange("films-api", ["book:read"], ["shelf:1:read"])
	token.beyond_subject == set() with input as object.remove(exchange("books-api", [], ["shelf:1:read"]), ["subject"])
}

test_acts_for_others if {
	asked := exchange("books-api", ["book:read"], ["book:1:read"])
	without := object.union(asked, {"client": object.union(asked.client, {"attributes": {"acts_for_others": false}})})
	token.rejected == {{"scope": "book:1:read", "reason": "may not act for others"}} with input as without
	own := object.union(without, {"subject": object.union(asked.subject, {"client_id": "books-api"})})
	token.rejected == set() with input as own
	token.rejected == set() with input as object.remove(without, ["subject"])
}

exchange(client, has, raws) := {
	"issuer": "https://auth.example.com",
	"client": {
		"id": client, "auth_method": "client_secret_basic", "description": "", "attributes": {"acts_for_others": true},
		"audiences": [], "networks": [],
		"grants": [
			{"resource": "book", "identifiers": ["*"], "actions": ["read"], "effect": "allow"},
			{"resource": "shelf", "identifiers": ["*"], "actions": ["read"], "effect": "allow"},
		],
	},
	"subject": {
		"issuer": "https://auth.example.com", "subject": "caller", "client_id": "caller", "claims": {}, "type": "jwt", "key_id": "",
		"scopes": [scope.parse(raw) | some raw in has],
	},
	"scopes": [scope.parse(raw) | some raw in raws],
	"resources": {
		"book": {"actions": ["read"], "audience": "", "attributes": {}},
		"shelf": {"actions": ["read"], "audience": "", "attributes": {}},
	},
	"request": {"remote_ip": "192.0.2.1", "auth_method": "client_secret_basic", "audience": []},
}

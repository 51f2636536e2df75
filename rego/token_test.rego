package m2m.token_test

import data.m2m.scope
import data.m2m.token

test_contract_is_empty_for_an_empty_request if {
	token.granted == set() with input as request([], [])
	token.rejected == set() with input as request([], [])
	token.claims == {} with input as request([], [])
	token.ttl == set() with input as request([], [])
	token.default_scopes == set() with input as request([], [])
}

test_a_grant_grants_what_it_covers if {
	granted(["book:1:read", "book:read"], [allow("book", ["*"], ["read"])]) == {"book:1:read", "book:read"}
}

test_short_forms_are_echoed_as_written if {
	granted(["book"], [allow("book", ["*"], ["*"])]) == {"book"}
}

test_a_prefix_grants_what_begins_with_it if {
	grants := [allow("book", ["a*"], ["read"])]
	granted(["book:abc:read", "book:ab*:read", "book:b:read", "book:*:read"], grants) == {"book:abc:read", "book:ab*:read"}
}

test_two_grants_do_not_mix if {
	grants := [allow("book", ["1"], ["read"]), allow("book", ["2"], ["edit"])]
	granted(["book:1:read", "book:2:read", "book:1:edit", "book:2:edit"], grants) == {"book:1:read", "book:2:edit"}
}

test_every_resource_takes_a_grant_on_every_resource if {
	granted(["*"], [allow("book", ["*"], ["*"])]) == set()
	granted(["*", "book:1:read"], [allow("*", ["*"], ["*"])]) == {"*", "book:1:read"}
	granted(["*:*:read", "*:*:edit"], [allow("*", ["*"], ["read"])]) == {"*:*:read"}
}

test_every_action_takes_a_grant_on_every_action if {
	granted(["book:1:*"], [allow("book", ["1"], ["read", "edit"])]) == set()
	granted(["book:1:*"], [allow("book", ["1"], ["*"])]) == {"book:1:*"}
}

test_nothing_without_grants if {
	granted(["book:1:read"], []) == set()
	reasons(["book:1:read"], []) == {}
}

test_an_overlapping_deny_rejects if {
	grants := [allow("book", ["*"], ["*"]), deny("book", ["secret-*"], ["*"])]
	reasons(["book:*:read", "book:secret-1:read", "book:1:read"], grants) == {
		"book:*:read": {"denied by a grant"},
		"book:secret-1:read": {"denied by a grant"},
	}
}

test_a_deny_on_everything_rejects_all if {
	grants := [allow("*", ["*"], ["*"]), deny("*", ["*"], ["*"])]
	reasons(["*", "book:1:read"], grants) == {"*": {"denied by a grant"}, "book:1:read": {"denied by a grant"}}
}

test_unknown_resource if {
	reasons(["film:1:read"], [allow("*", ["*"], ["*"])]) == {"film:1:read": {"unknown resource"}}
}

test_unknown_action if {
	reasons(["book:1:burn"], [allow("book", ["*"], ["*"])]) == {"book:1:burn": {"unknown action"}}
}

# What each grant of the shared table covers is what the shipped rules grant for it alone.
test_granted_agrees_with_the_algebra if {
	every c in data.testdata.scope_cases.grants {
		grant := object.union(c.grant, {"effect": "allow"})
		is_granted := c.scope in granted([c.scope], [grant])
		is_granted == c.covers
	}
}

granted(raws, grants) := scopes if {
	scopes := token.granted with input as request(raws, grants)
}

reasons(raws, grants) := {raw: whys |
	rejected := token.rejected with input as request(raws, grants)
	some refusal in rejected
	raw := refusal.scope
	whys := {r.reason | some r in rejected; r.scope == raw}
}

allow(resource, identifiers, actions) := {
	"resource": resource,
	"identifiers": identifiers,
	"actions": actions,
	"effect": "allow",
}

deny(resource, identifiers, actions) := object.union(allow(resource, identifiers, actions), {"effect": "deny"})

request(raws, grants) := {
	"issuer": "https://auth.example.com",
	"client": {"id": "ci-bot", "description": "", "attributes": {}, "grants": grants},
	"scopes": [scope.parse(raw) | some raw in raws],
	"resources": {
		"book": {"actions": ["read", "edit"], "audience": "", "attributes": {}},
		"customer": {"actions": ["read"], "audience": "", "attributes": {}},
		"revenue": {"actions": ["create", "read", "update"], "audience": "", "attributes": {}},
		"user-growth": {"actions": ["read"], "audience": "", "attributes": {}},
	},
	"request": {"remote_ip": "192.0.2.1", "auth_method": "client_secret_basic", "audience": []},
}

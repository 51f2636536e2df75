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

test_without_networks_every_address_will_do if {
	every ip in ["192.0.2.1", "2001:db8::1", "", "no address", "fe80::1%eth0"] {
		not "source network" in reasons_from([], ip)
		granted_from([], ip) == {"book:1:read"}
	}
}

test_networks_let_through_what_is_in_one if {
	networks := ["198.51.100.7/32", "10.0.0.0/8", "2001:db8::/32"]
	every ip in ["10.0.0.0", "10.255.255.255", "::ffff:10.0.0.1", "198.51.100.7", "2001:db8::1", "2001:DB8:0:0::"] {
		reasons_from(networks, ip) == set()
	}
}

test_networks_reject_what_is_in_none if {
	networks := ["198.51.100.7/32", "10.0.0.0/8", "2001:db8::/32"]
	every ip in ["11.0.0.0", "9.255.255.255", "198.51.100.6", "2001:db9::", "::1", "::ffff:11.0.0.1", "::10.0.0.1"] {
		reasons_from(networks, ip) == {"source network"}
	}
}

test_everything_is_of_its_own_kind if {
	reasons_from(["0.0.0.0/0"], "192.0.2.1") == set()
	reasons_from(["0.0.0.0/0"], "2001:db8::1") == {"source network"}
	reasons_from(["::/0"], "2001:db8::1") == set()
	reasons_from(["::/0"], "192.0.2.1") == {"source network"}
}

test_what_is_no_address_is_in_no_network if {
	every ip in [
		"", " ", "@", "10.0.0.0/8", "10.0.0.1/32", "10.0.0.1:80", "10.0.0", "010.0.0.1", "fe80::1%eth0",
		"::1%", "localhost", "/",
	] {
		reasons_from(["0.0.0.0/0", "::/0"], ip) == {"source network"}
	}
}

test_every_scope_is_rejected_from_elsewhere if {
	rejected := token.rejected with input as request_from(["10.0.0.0/8"], "192.0.2.1", ["book:1:read", "*", "customer"])
	rejected == {{"scope": raw, "reason": "source network"} | some raw in ["book:1:read", "*", "customer"]}
}

# Requests of tests that were written before clients had networks.
test_a_client_that_says_nothing_of_networks if {
	reasons(["book:1:read"], [allow("book", ["1"], ["read"])]) == {}
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

reasons(raws, grants) := {refusal.scope: whys |
	rejected := token.rejected with input as request(raws, grants)
	some refusal in rejected
	whys := {r.reason | some r in rejected; r.scope == refusal.scope}
}

granted_from(networks, ip) := scopes if {
	scopes := token.granted with input as request_from(networks, ip, ["book:1:read"])
}

reasons_from(networks, ip) := {refusal.reason |
	rejected := token.rejected with input as request_from(networks, ip, ["book:1:read"])
	some refusal in rejected
}

request_from(networks, ip, raws) := object.union(
	request(raws, [allow("*", ["*"], ["*"])]),
	{"client": {"networks": networks}, "request": {"remote_ip": ip}},
)

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

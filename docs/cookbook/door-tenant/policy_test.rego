package door_tenant_test

import data.m2m.request
import data.m2m.scope

test_of_its_tenant if {
	asked := proxied("GET", {"x-tenant": ["acme"]}, {"tenant": "acme"})
	request.denied == set() with input as asked
	request.required == set() with input as asked
	request.headers == {"X-Tenant-Id": "acme"} with input as asked
}

test_of_another_of_two_and_of_none if {
	every headers in [{"x-tenant": ["other"]}, {"x-tenant": ["acme", "other"]}, {}] {
		request.denied == {{"reason": "not of this tenant"}} with input as proxied("GET", headers, {"tenant": "acme"})
	}
}

test_a_token_without_a_tenant if {
	request.denied == {{"reason": "not of this tenant"}} with input as proxied("GET", {"x-tenant": ["acme"]}, {})
}

test_deleting if {
	request.required == {"book:1:delete"} with input as proxied("DELETE", {"x-tenant": ["acme"]}, {"tenant": "acme"})
}

proxied(method, headers, claims) := {
	"issuer": "https://auth.example.com",
	"request": {
		"method": method, "host": "api.example.com", "path": ["books", "1"], "remote_ip": "192.0.2.1",
		"route": {"pattern": "/books/{id}", "parameters": {"id": "1"}},
		"headers": headers,
	},
	"token": {"client_id": "ci-bot", "subject": "ci-bot", "scopes": [scope.parse("book:*:*")], "claims": claims},
}

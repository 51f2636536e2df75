package m2m.request_test

import data.m2m.request
import data.m2m.scope

test_reading_goes_through if {
	request.denied == set() with input as proxied("GET", "198.51.100.1")
}

test_writing_is_for_the_office if {
	request.denied == set() with input as proxied("PUT", "192.0.2.1")

	every elsewhere in ["198.51.100.1", ""] {
		request.denied == {{"reason": "not from the office"}} with input as proxied("PUT", elsewhere)
	}
}

test_deleting_needs_a_scope if {
	request.required == {"book:1:delete"} with input as proxied("DELETE", "192.0.2.1")
	request.required == set() with input as proxied("GET", "192.0.2.1")
}

# A request for book 1, with a token for every book.
proxied(method, ip) := {
	"issuer": "https://auth.example.com",
	"request": {
		"method": method,
		"host": "api.example.com",
		"path": ["books", "1"],
		"route": {"pattern": "/books/{id}", "parameters": {"id": "1"}},
		"remote_ip": ip,
		"headers": {},
	},
	"token": {
		"client_id": "ci-bot",
		"subject": "ci-bot",
		"scopes": [scope.parse("book:*:*")],
		"claims": {"client_id": "ci-bot"},
	},
}

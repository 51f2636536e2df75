package four_eyes_test

import data.m2m.scope
import data.m2m.token

before := time.parse_rfc3339_ns("2026-03-02T12:00:00Z")

after := time.parse_rfc3339_ns("2026-03-02T18:00:00Z")

test_approved_by_two if {
	refused("ci-bot", ["book:draft-1:delete", "book:draft-*:delete", "book:read"], before) == set()
}

test_not_approved if {
	raws := ["book:1:delete", "book:delete", "book:draft-1:*"]
	refused("ci-bot", raws, before) == {raw | some raw in raws}
}

test_one_person_is_not_two if {
	refused("ci-bot", ["book:old-1:delete"], before) == {"book:old-1:delete"}
}

test_too_late if {
	refused("ci-bot", ["book:draft-1:delete"], after) == {"book:draft-1:delete"}
}

test_for_another_client if {
	refused("other", ["book:draft-1:delete"], before) == {"book:draft-1:delete"}
}

refused(id, raws, now) := {r.scope |
	rejected := token.rejected with input as request(client(id), raws)
		with time.now_ns as now
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

package m2m.identity_test

import data.m2m.identity

svid(issuer, id) := {
	"issuer": "https://auth.example.com",
	"identity": {"issuer": issuer, "subject": id, "type": "jwt-spiffe", "key_id": "k1", "claims": {"sub": id}},
	"clients": [],
	"request": {"remote_ip": "192.0.2.1", "client_id": "", "grant_type": "client_credentials"},
}

own := "https://spire.example.com"

partner := "https://spire.partner.example"

test_workload_is_a_client if {
	identity.clients == {"books-api"} with input as svid(own, "spiffe://example.com/prod/ns/books/sa/api")
	identity.clients == {"partner"} with input as svid(partner, "spiffe://partner.example/any/thing")
}

test_staging_is_not if {
	identity.clients == set() with input as svid(own, "spiffe://example.com/staging/ns/books/sa/api")
}

test_trust_domain_speaks_for_itself_alone if {
	identity.clients == set() with input as svid(partner, "spiffe://example.com/prod/ns/books/sa/api")
	identity.clients == set() with input as svid(own, "spiffe://partner.example/any/thing")
	identity.clients == set() with input as svid("https://evil.example.com", "spiffe://example.com/prod/ns/books/sa/api")
}

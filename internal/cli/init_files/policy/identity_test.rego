package m2m.identity_test

import data.m2m.identity

test_environment_goes_through if {
	identity.denied == set() with input as job({"environment": "production"})
}

test_job_without_an_environment_does_not if {
	identity.denied == {{"reason": "not in an environment"}} with input as job({})
}

# A job of GitHub Actions that the registry lists for one client.
job(claims) := {
	"issuer": "https://auth.example.com",
	"identity": {
		"issuer": "https://token.actions.githubusercontent.com",
		"subject": "repo:acme/books:ref:refs/heads/main",
		"type": "jwt",
		"key_id": "k1",
		"claims": claims,
	},
	"clients": ["books"],
	"request": {"remote_ip": "192.0.2.1", "client_id": "", "grant_type": "client_credentials"},
}

package m2m.identity_test

import data.m2m.identity

github(claims) := {
	"issuer": "https://auth.example.com",
	"identity": {
		"issuer": "https://token.actions.githubusercontent.com",
		"subject": "repo:acme/books:environment:production",
		"type": "jwt",
		"key_id": "k1",
		"claims": object.union(
			{
				"repository": "acme/books", "repository_owner_id": "1234567",
				"environment": "production", "event_name": "push",
			},
			claims,
		),
	},
	"clients": [],
	"request": {"remote_ip": "192.0.2.1", "client_id": "", "grant_type": "client_credentials"},
}

test_environment_is_a_client if {
	identity.clients == {"books-production"} with input as github({})
	identity.clients == {"books-staging"} with input as github({"environment": "staging"})
	identity.denied == set() with input as github({})
}

test_others_are_not if {
	identity.clients == set() with input as github({"repository": "evil/books"})
	identity.clients == set() with input as github({"repository_owner_id": "7"})
	identity.clients == set() with input as json.patch(github({}), [{
		"op": "replace", "path": "/identity/issuer", "value": "https://evil.example.com",
	}])
}

test_job_without_an_environment_is_not if {
	identity.clients == set() with input as json.remove(github({}), ["/identity/claims/environment"])
}

test_pull_request_is_denied if {
	identity.denied == {{"reason": "a pull request"}} with input as github({"event_name": "pull_request"})
}

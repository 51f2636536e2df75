package m2m.identity_test

import data.m2m.identity

pod(namespace, account) := {
	"issuer": "https://auth.example.com",
	"identity": {
		"issuer": "https://kubernetes.default.svc.cluster.local",
		"subject": sprintf("system:serviceaccount:%s:%s", [namespace, account]),
		"type": "jwt",
		"key_id": "k1",
		"claims": {"kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account}}},
	},
	"clients": [],
	"request": {"remote_ip": "192.0.2.1", "client_id": "", "grant_type": "client_credentials"},
}

test_namespace_is_a_client if {
	identity.clients == {"catalogue"} with input as pod("books", "api")
	identity.clients == {"storefront"} with input as pod("shop", "checkout")
	identity.denied == set() with input as pod("books", "api")
}

test_other_namespace_is_not if {
	identity.clients == set() with input as pod("evil", "api")
}

test_other_issuer_is_not if {
	identity.clients == set() with input as json.patch(pod("books", "api"), [{
		"op": "replace", "path": "/identity/issuer", "value": "https://evil.example.com",
	}])
}

test_default_account_is_denied if {
	identity.denied == {{"reason": "the default service account"}} with input as pod("books", "default")
}

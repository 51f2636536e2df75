package m2m.identity

# METADATA
# description: The trust blocks that serve a trust domain, by the URL that the config gives them.
_domains := {
	"https://spire.example.com": "example.com",
	"https://spire.partner.example": "partner.example",
}

# METADATA
# description: The last two segments name the client, as in spiffe://example.com/prod/ns/books/sa/api.
clients contains client if {
	input.identity.type == "jwt-spiffe"
	_domains[input.identity.issuer] == "example.com"
	[environment, ns, namespace, sa, account] := _path
	[environment, ns, sa] == ["prod", "ns", "sa"]
	client := concat("-", [namespace, account])
}

# METADATA
# description: All workloads of the partner are one client.
clients contains "partner" if {
	input.identity.type == "jwt-spiffe"
	_domains[input.identity.issuer] == "partner.example"
	_path
}

_path := split(trim_prefix(input.identity.subject, prefix), "/") if {
	prefix := concat("", ["spiffe://", _domains[input.identity.issuer], "/"])
	startswith(input.identity.subject, prefix)
}

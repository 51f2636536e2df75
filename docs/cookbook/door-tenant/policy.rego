package m2m.request

# METADATA
# description: The tenant that a request names is the token's. A request names one, once.
denied contains {"reason": "not of this tenant"} if {
	not _of_its_tenant
}

_of_its_tenant if {
	input.request.headers["x-tenant"] == [input.token.claims.tenant]
}

# METADATA
# description: What is deleted needs a scope of its own, beside that of the route.
required contains sprintf("book:%s:delete", [input.request.route.parameters.id]) if {
	input.request.method == "DELETE"
}

# METADATA
# description: The upstream learns whose request it is from the token, and from nobody else.
headers["X-Tenant-Id"] := input.token.claims.tenant

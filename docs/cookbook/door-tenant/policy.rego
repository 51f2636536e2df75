package m2m.request

# METADATA
# description: A request names exactly one tenant, and it is the token's.
denied contains {"reason": "not of this tenant"} if {
	not _of_its_tenant
}

_of_its_tenant if {
	input.request.headers["x-tenant"] == [input.token.claims.tenant]
}

# METADATA
# description: A deletion needs its own scope, in addition to that of the route.
required contains sprintf("book:%s:delete", [input.request.route.parameters.id]) if {
	input.request.method == "DELETE"
}

# METADATA
# description: The upstream gets the tenant from the token only.
headers["X-Tenant-Id"] := input.token.claims.tenant

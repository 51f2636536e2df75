package m2m.request

denied contains {"reason": "of another tenant"} if {
	some tenant in object.get(input.request.headers, "x-tenant", [""])
	tenant != input.token.claims.tenant
}

# METADATA
# title: Which requests pass
# description: >-
#   A door evaluates these rules if its m2m_auth has "policy". The token is then valid and covers what the
#   route requires. A decision sees only "input" (schemas/request) and the data files of this folder.
package m2m.request

# METADATA
# description: >-
#   Writes must come from the office's network. Write what must hold, and deny if it does not: a missing
#   value then denies.
denied contains {"reason": "not from the office"} if {
	not input.request.method in {"GET", "HEAD"}
	not _from_office
}

_from_office if {
	input.request.remote_ip != ""
	net.cidr_contains("192.0.2.0/24", input.request.remote_ip)
}

# METADATA
# description: A deletion needs its own scope, in addition to that of the route.
required contains sprintf("book:%s:delete", [input.request.route.parameters.id]) if {
	input.request.method == "DELETE"
}

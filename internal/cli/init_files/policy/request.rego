# METADATA
# title: Which requests go through
# description: >-
#   A door asks these rules when its m2m_auth says "policy". By then the token is valid and covers what the
#   route requires. A decision sees "input" (schemas/request) and the data files of this folder.
package m2m.request

# METADATA
# description: >-
#   What is written goes through the office's network. Say what must hold, and deny when it does not: so
#   what is missing denies.
denied contains {"reason": "not from the office"} if {
	not input.request.method in {"GET", "HEAD"}
	not _from_office
}

_from_office if {
	input.request.remote_ip != ""
	net.cidr_contains("192.0.2.0/24", input.request.remote_ip)
}

# METADATA
# description: Deleting needs a scope of its own, beside that of the route.
required contains sprintf("book:%s:delete", [input.request.route.parameters.id]) if {
	input.request.method == "DELETE"
}

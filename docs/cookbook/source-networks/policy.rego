package m2m.token

# METADATA
# description: Every client must ask from the office, in addition to its own networks.
rejected contains {"scope": s.raw, "reason": "not from the office"} if {
	not _from_office
	some s in input.scopes
}

_from_office if {
	input.request.remote_ip != "" # an unknown address is in no network
	some network in data.office.networks
	net.cidr_contains(network, input.request.remote_ip)
}

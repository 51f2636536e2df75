package m2m.token

# METADATA
# description: Every client asks from the office, whatever networks it has of its own.
rejected contains {"scope": s.raw, "reason": "not from the office"} if {
	not _from_office
	some s in input.scopes
}

_from_office if {
	input.request.remote_ip != "" # an address that is not known is in no network
	some network in data.office.networks
	net.cidr_contains(network, input.request.remote_ip)
}

package m2m.identity

# METADATA
# description: All service accounts of a namespace in the data file are the client that it names there.
clients contains data.namespaces[input.identity.claims["kubernetes.io"].namespace] if {
	input.identity.issuer == "https://kubernetes.default.svc.cluster.local"
}

denied contains {"reason": "the default service account"} if {
	input.identity.issuer == "https://kubernetes.default.svc.cluster.local"
	input.identity.claims["kubernetes.io"].serviceaccount.name == "default"
}

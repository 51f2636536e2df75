package caddymodule

// What an issuer may lack, in the words of m2m_ready.
const (
	lacksKeys     = "keys"
	lacksRegistry = "registry"
	lacksPolicy   = "policy"
)

// lacks is what the issuer cannot issue tokens without, and does not have.
func (i *issuerServer) lacks() (what []string) {
	if i.keys.Revision() == "" {
		what = append(what, lacksKeys)
	}
	if i.store != nil && !i.store.Opened() { // a file is read before there is an issuer
		what = append(what, lacksRegistry)
	}
	if i.policy.Revision() == "" {
		what = append(what, lacksPolicy)
	}
	return what
}

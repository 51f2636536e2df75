package issuer

// What an issuer may lack, in the words of m2m_ready.
const (
	LacksKeys     = "keys"
	lacksRegistry = "registry"
	lacksPolicy   = "policy"
)

// Lacks is what the issuer cannot issue tokens without, and does not have.
func (s *Server) Lacks() (what []string) {
	if s.Keys.Revision() == "" {
		what = append(what, LacksKeys)
	}
	if s.Store != nil && !s.Store.Opened() { // a file is read before there is an issuer
		what = append(what, lacksRegistry)
	}
	if s.Policy.Revision() == "" {
		what = append(what, lacksPolicy)
	}
	return what
}

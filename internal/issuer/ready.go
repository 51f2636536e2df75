package issuer

// What an issuer may lack, as m2m_ready names it.
const (
	LacksKeys     = "keys"
	lacksRegistry = "registry"
	lacksPolicy   = "policy"
)

// Lacks returns what the issuer needs to issue tokens and does not have.
func (s *Server) Lacks() (what []string) {
	if s.Keys.Revision() == "" {
		what = append(what, LacksKeys)
	}
	if s.Store != nil && !s.Store.Opened() { // a file is read before New
		what = append(what, lacksRegistry)
	}
	if s.Policy.Revision() == "" {
		what = append(what, lacksPolicy)
	}
	return what
}

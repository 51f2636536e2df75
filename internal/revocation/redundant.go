package revocation

// An entry is redundant if the revocation of a client revokes all that it revokes, for as long: of a token that the client
// was issued up to that moment, or of the client up to an earlier moment. The client and the iat of a token must be known
// for that. A redundant entry may be removed wherever the other entry is.

// covers reports whether the revocation of the token's client makes that of the token redundant.
func (c client) covers(t single) bool { return t.issued <= c.before && t.expires <= c.expires }

// client returns the revocation of a client's tokens. It revokes none if there is none.
func (s *Set) client(id string) client {
	if s == nil {
		return client{}
	}
	a, b := s.old.clients[id], s.young.clients[id]
	return client{max(a.before, b.before), max(a.expires, b.expires)}
}

// redundant reports whether the set makes an entry redundant.
func (s *Set) redundant(e Entry) bool {
	switch {
	case s == nil:
		return false
	case e.Owner != "":
		return s.client(e.Owner).covers(e.single())
	case e.ClientID != "":
		c, same := s.client(e.ClientID), client{e.Before.Unix(), e.Expires.Unix()}
		return c != same && c.before >= same.before && c.expires >= same.expires
	}
	return false
}

// hasTokensOf reports whether the set has redundant tokens of one of the clients.
func (s *Set) hasTokensOf(clients map[string]bool) bool {
	if len(clients) == 0 {
		return false
	}
	for _, l := range []*layer{&s.old, &s.young} {
		for _, t := range l.tokens {
			if clients[t.owner] && t.owner != "" && s.client(t.owner).covers(t) {
				return true
			}
		}
	}
	return false
}

// owned returns how many tokens of each client are revoked one by one.
func (s *Set) owned() map[string]int {
	owned := make(map[string]int)
	s.eachOwned(func(t single) { owned[t.owner]++ })
	return owned
}

// eachOwned calls do for each token whose client is known.
func (s *Set) eachOwned(do func(single)) {
	if s == nil {
		return
	}
	for _, t := range s.old.tokens {
		if t.owner != "" {
			do(t)
		}
	}
	for id, t := range s.young.tokens {
		if t.owner != "" && s.old.tokens[id].owner == "" {
			do(t)
		}
	}
}

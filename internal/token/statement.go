package token

// SignAs is like Sign, with another typ than that of an access token, so that a verifier does not accept one kind of
// statement as another (RFC 8725 §3.11).
func (k SigningKey) SignAs(typ string, claims []byte) (string, error) {
	header, err := encodeHeader(k.Alg(), k.ID(), typ)
	if err != nil {
		return "", err
	}
	return k.signUnder(header, claims)
}

// StatementKeyID is like KeyID, for a statement of at most limit bytes.
func StatementKeyID(raw string, limit int) (kid string, err error) {
	c, err := openCompact(raw, limit, headerRules{}, nil)
	if err != nil {
		return "", err
	}
	return string(c.header.Kid), nil
}

// VerifyStatement checks a statement of at most limit bytes: its form, its typ, and its signature with the key in keys that
// it names. It returns the claims without checking them. If the statement is not valid, the error is an *Error.
func VerifyStatement(raw, typ string, limit int, keys *KeySet) (claims []byte, err error) {
	c, err := openCompact(raw, limit, headerRules{}, nil)
	if err != nil {
		return nil, err
	}
	if !sameType(string(c.header.Typ), typ) {
		return nil, refuse(WrongType, "typ is not "+typ)
	}
	if _, _, err := c.signedBy(keys, nil); err != nil {
		return nil, err
	}
	return c.claims()
}

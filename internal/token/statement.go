package token

// SignAs is Sign under another typ than that of an access token, for what an issuer states besides (RFC 8725
// §3.11): whoever expects one kind does not take the other.
func (k SigningKey) SignAs(typ string, claims []byte) (string, error) {
	header, err := encodeHeader(k.Alg(), k.ID(), typ)
	if err != nil {
		return "", err
	}
	return k.signUnder(header, claims)
}

// StatementKeyID is KeyID for a statement of at most limit bytes.
func StatementKeyID(raw string, limit int) (kid string, err error) {
	c, err := openCompactWithin(raw, limit)
	return string(c.header.Kid), err
}

// VerifyStatement takes a statement of at most limit bytes through the gate, holds its typ against the one
// that is wanted, checks its signature with the key of keys that it names, and returns its claims, of which
// nothing is checked. All that is wrong with it is an *Error.
func VerifyStatement(raw, typ string, limit int, keys *KeySet) (claims []byte, err error) {
	c, err := openCompactWithin(raw, limit)
	if err != nil {
		return nil, err
	}
	if !sameType(string(c.header.Typ), typ) {
		return nil, refuse(WrongType, "typ is not "+typ)
	}
	return c.verify(keys)
}

package token

// Issuer checks the form of a token and returns its iss, so that the issuer can be chosen before its keys are looked up. The
// iss is not verified. Choosing by it is safe because Verify requires the iss that it expects, and because both read the
// payload in the same way. Errors are those of Verify.
func Issuer(raw string) (string, error) {
	c, err := openCompact(raw, MaxTokenSize)
	if err != nil {
		return "", err
	}
	data, err := c.claims()
	if err != nil {
		return "", err
	}
	all, err := parsePayload(data)
	if err != nil {
		return "", err
	}
	r := claimReader{all: all}
	issuer := r.text("iss")
	return issuer, r.err
}

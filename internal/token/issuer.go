package token

// Issuer takes a token through the gate and says who it claims to be of, so that the issuer can be
// chosen before its keys are looked up. Nothing is verified: iss is a stranger's word, and a choice
// by it is good only because Verify holds the token to be of whom it was chosen for. It reads the
// payload as Verify does, so that both see the same iss. Errors are those of Verify.
func Issuer(raw string) (string, error) {
	c, err := openCompact(raw)
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

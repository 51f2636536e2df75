package registry

import "testing"

func TestCheckClientIDTakesURIs(t *testing.T) {
	for _, id := range []string{
		"urn:app", "https://app.example.com/x", "https://app.example.com/", "https://app.example.com:8443/x?y=z#f", "spiffe://example.org/ns/a/sa/b",
		"api://11112222-3333-4444-5555-666677778888", "arn:aws:iam::111122223333:role/x", "git+https://example.com/x", "a:b", ":", "a:", "mailto:ci@example.com",
		"system:serviceaccount:ns:name", "sb-app!t123|broker!b7", "@!90CC.2E38.774C.610B!0001!FD3B.B0A0!0008!B011.91DC.5EAA.D899",
	} {
		if err := CheckClientID(id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range []string{"https://u:p@app.example.com", "urn:app token", "https://app.example.com/a%20b", "https://app.example.com/?client_secret=x", "urn:app?client_secret=x", "urn:token=x", `urn:"x"`, "urn:é"} {
		if err := CheckClientID(id); err == nil {
			t.Errorf("%s is accepted", id)
		}
	}
}

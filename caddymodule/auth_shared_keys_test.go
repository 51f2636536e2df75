package caddymodule_test

import "testing"

// TestTwoIssuersWithSharedKeys: what the door lets tokens of one issuer lack, those of the other still need, also if both
// have the same keys.
func TestTwoIssuersWithSharedKeys(t *testing.T) {
	d := newTwoIssuerDoor(t, "jwks_uri ISSUER/jwks\nallow_missing aud typ jti client_id\nclient_claim x.azp\nclient_id cart\nscope_claim x.scp\nignore_parameter x5c", "")
	theirs := func(changes, header map[string]any) string {
		all := map[string]any{"iss": d.other.URL, "aud": nil, "client_id": nil, "x": map[string]any{"azp": "cart"}}
		for name, value := range changes {
			all[name] = value
		}
		return sign(d.issuer, all, header)
	}
	bare := map[string]any{"kid": nil, "typ": nil, "x5c": []string{"MIIB"}}
	for range 2 { // verified, and remembered
		d.expect("theirs", theirs(nil, bare), 200, "")
		d.expect("ours without aud", sign(d.issuer, map[string]any{"aud": nil}, nil), 401, "bad_claims")
		d.expect("ours of their form", sign(d.issuer, map[string]any{"aud": nil}, bare), 401, "unsupported")
		d.expect("ours without typ", sign(d.issuer, nil, map[string]any{"typ": nil}), 401, "wrong_type")
		d.expect("ours without jti", sign(d.issuer, map[string]any{"jti": nil}, nil), 401, "bad_claims")
		d.expect("ours", sign(d.issuer, nil, nil), 200, "")
		for what, changes := range map[string]map[string]any{
			"for another API":             {"aud": "https://other-api.example.com"},
			"for several others":          {"aud": []string{"https://other-api.example.com", "cart"}},
			"another client":              {"x": map[string]any{"azp": "evil"}, "client_id": "cart", "azp": "cart"},
			"no client":                   {"x": nil, "client_id": "cart"},
			"a list of clients":           {"x": map[string]any{"azp": []string{"cart"}}},
			"a list of objects":           {"x": []any{map[string]any{"azp": "cart"}}},
			"an empty audience":           {"aud": []any{}},
			"an expired one":              {"exp": 1},
			"one that is bound to a key":  {"cnf": map[string]any{"jkt": "a"}},
			"another client by full name": {"x.azp": "evil"},
		} {
			d.expect(what, theirs(changes, bare), 401, "")
		}
	}
}

package registry

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	noTime    = ` must be a time as in RFC 3339, such as 2027-01-31T00:00:00Z`
	noNetwork = `a network: must be an address or a prefix such as 192.0.2.0/24 or 2001:db8::/32`
)

func TestClientSettings(t *testing.T) {
	want := &Client{
		ID:        "c",
		Expires:   time.Date(2027, 1, 31, 22, 30, 0, 0, time.UTC),
		Audiences: []string{"https://b.example.com", "urn:a"}, Introspects: []string{"urn:c"},
		Networks: []netip.Prefix{
			netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8::/32"),
			netip.MustParsePrefix("2001:db9::1/128"), netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"),
		},
		Secrets: []Secret{{
			ID: "s1", SHA256: sum("secret number 1"),
			Created: time.Date(2026, 1, 1, 0, 0, 0, 500_000_000, time.UTC), Expires: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		}},
	}
	data := `{"clients": {"c": {"expires": "2027-02-01T00:00:00+01:30",
		"audiences": ["https://b.example.com", "urn:a"], "introspects": ["urn:c"],
		"networks": ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "2001:db9::1", "0.0.0.0/0", "::/0"],
		"secrets": [{"id": "s1", "sha256": "` + hashOf(1) + `", "created": "2026-01-01T00:00:00.5Z", "expires": "9999-12-31T23:59:59Z"}]}}}`
	for _, name := range []string{"r.json", "r.yaml"} {
		got, err := mustParse(t, name, strings.ReplaceAll(data, "\t", " ")).Client(t.Context(), "c")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, got, want)
		}
	}
}

func TestClientSettingsRefused(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"expires a date":           {"expires: 2027-01-31", `3:10: expires` + noTime},
		"expires a number":         {"expires: 1800000000", `3:10: expires` + noTime},
		"expires null":             {"expires: null", `3:10: expires` + noTime},
		"expires at the zero time": {"expires: 0001-01-01T00:00:00Z", `3:10: expires` + noTime},
		"the zero time, elsewhere": {"expires: '0001-01-01T01:00:00+01:00'", `3:10: expires` + noTime},
		"expires in year 10000":    {"expires: '9999-12-31T23:59:59-01:00'", `3:10: expires` + noTime},
		"expires before year 0":    {"expires: '0000-01-01T00:00:00+01:00'", `3:10: expires` + noTime},

		"introspects none":       {"introspects: []", `3:14: introspects must not be empty`},
		"introspects twice":      {"introspects: ['urn:a', 'urn:a']", `3:24: duplicate audience "urn:a"`},
		"introspects a pattern":  {"introspects: ['*']", `3:15: audience: must be an absolute URI`},
		"audiences a string":     {"audiences: https://a.example.com", `3:12: audiences must be a list, not a string`},
		"audiences null":         {"audiences: null", `3:12: audiences must be a list, not null`},
		"audiences none":         {"audiences: []", `3:12: audiences must not be empty`},
		"an audience a number":   {"audiences: [1]", `3:13: audience must be a string, not a number`},
		"an audience empty":      {"audiences: ['']", `3:13: audience: must be an absolute URI`},
		"an audience relative":   {"audiences: [/api]", `3:13: audience: must be an absolute URI`},
		"an audience a fragment": {"audiences: ['https://a.example.com/#x']", `3:13: audience: must be a URI without a fragment`},
		"an audience a pattern":  {"audiences: ['*']", `3:13: audience: must be an absolute URI`},
		"an audience twice":      {"audiences: ['urn:a', 'urn:b', 'urn:a']", `3:31: duplicate audience "urn:a"`},

		"networks a string":           {"networks: 192.0.2.0/24", `3:11: networks must be a list, not a string`},
		"networks null":               {"networks: null", `3:11: networks must be a list, not null`},
		"networks none":               {"networks: []", `3:11: networks must not be empty`},
		"a network a number":          {"networks: [10]", `3:12: a network must be a string, not a number`},
		"a network empty":             {"networks: ['']", `3:12: ` + noNetwork},
		"a network a name":            {"networks: [localhost]", `3:12: ` + noNetwork},
		"a network cut short":         {"networks: [10.0/8]", `3:12: ` + noNetwork},
		"a network with a port":       {"networks: ['192.0.2.1:80']", `3:12: ` + noNetwork},
		"a network with a mask":       {"networks: [192.0.2.0/255.255.255.0]", `3:12: ` + noNetwork},
		"a network too long":          {"networks: [192.0.2.0/33]", `3:12: ` + noNetwork},
		"a network of leading zeros":  {"networks: [192.0.02.0/24]", `3:12: ` + noNetwork},
		"a length of leading zeros":   {"networks: [192.0.2.0/024]", `3:12: ` + noNetwork},
		"an address with a zone":      {"networks: ['fe80::1%eth0']", `3:12: ` + noNetwork},
		"a network with a zone":       {"networks: ['fe80::%eth0/10']", `3:12: ` + noNetwork},
		"a network with host bits":    {"networks: [192.0.2.7/24]", `3:12: a network: 192.0.2.7/24 has bits set after its length: write 192.0.2.0/24`},
		"a network of IPv6 with some": {"networks: ['2001:db8::1/32']", `3:12: a network: 2001:db8::1/32 has bits set after its length: write 2001:db8::/32`},
		"IPv4 within IPv6":            {"networks: ['::ffff:192.0.2.0/120']", `3:12: a network: an IPv4 address within IPv6 is not valid: write it as IPv4, such as 192.0.2.0/24`},
		"an address within IPv6":      {"networks: ['::ffff:192.0.2.1']", `3:12: a network: an IPv4 address within IPv6 is not valid: write it as IPv4, such as 192.0.2.0/24`},
		"all of IPv4 within IPv6":     {"networks: ['::ffff:0:0/96']", `3:12: a network: an IPv4 address within IPv6 is not valid: write it as IPv4, such as 192.0.2.0/24`},
		"a network twice":             {"networks: [192.0.2.0/24, 10.0.0.0/8, 192.0.2.0/24]", `3:38: duplicate network 192.0.2.0/24`},
		"an address twice":            {"networks: ['2001:db8::1', '2001:DB8:0::1/128']", `3:27: duplicate network 2001:db8::1/128`},

		"created a date":           {`secrets: [{id: a, sha256: "` + hashOf(1) + `", created: 2027-01-31}]`, `3:83: created` + noTime},
		"created at the zero time": {`secrets: [{id: a, sha256: "` + hashOf(1) + `", created: 0001-01-01T00:00:00Z}]`, `3:83: created` + noTime},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("r.yaml", []byte(inClient(c.body)))
			if got := strings.Join(problemsOf(t, "r.yaml", err), "\n "); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestMissingSecretsAreNotEmptyOnes: "secrets: []" removes all secrets, and a client without "secrets" keeps them.
func TestMissingSecretsAreNotEmptyOnes(t *testing.T) {
	s := mustParse(t, "r.json", `{"clients": {"missing": {}, "none": {"secrets": []}}}`)
	for id, isNil := range map[string]bool{"missing": true, "none": false} {
		if c, err := s.Client(t.Context(), id); err != nil || (c.Secrets == nil) != isNil || len(c.Secrets) != 0 {
			t.Errorf("%s: %#v, %v", id, c.Secrets, err)
		}
	}
}

package caddymodule_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/textproto"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// overrideNames are the names in the list of package httpguard, in which they are not exported.
var overrideNames = sync.OnceValue(func() (names []string) {
	source, err := os.ReadFile("../internal/httpguard/overrides.go")
	if err != nil {
		panic(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^\t\{"([^"]+)", the`).FindAllStringSubmatch(string(source), -1) {
		names = append(names, match[1])
	}
	if !slices.Contains(names, "X-Original-Url") || len(names) < len(namesOfMethods) {
		panic("the list of overrides was not found")
	}
	return names
})

// overrideSpellings are names that some upstream takes for name.
func overrideSpellings(name string) []string {
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"),
		strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "_", 1), strings.ReplaceAll(name, "-", "~"),
	}
}

// foldedName is what an upstream that folds names makes of one.
func foldedName(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' {
			return c
		}
		return '-'
	}, strings.ToLower(name))
}

// overridesIn are the fields of the list that arrive, in the header or after the body.
func overridesIn(seen *http.Request) (found []string) {
	for _, fields := range []http.Header{seen.Header, seen.Trailer} {
		for field := range fields {
			for _, name := range overrideNames() {
				if foldedName(field) == foldedName(name) {
					found = append(found, field)
				}
			}
		}
	}
	return found
}

var namesOfMethods = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Override-Method", "X-Original-Method", "X-Forwarded-Method"}

// TestNoHeaderOverridesTheRequest sends every field of the list in every spelling, to doors with and without rules. Fields
// for the method are refused, and the others do not arrive.
func TestNoHeaderOverridesTheRequest(t *testing.T) {
	for name, test := range map[string]struct {
		subdirectives, expected string
		kept                    func(spelling string) bool // by Caddy
	}{
		"without rules": {"", "", func(spelling string) bool { return !strings.ContainsAny(spelling, "_.") }},
		"with rules":    {"require /books book:*:read", "", func(spelling string) bool { return !strings.ContainsAny(spelling, "_.") }},
		"with names that Caddy would drop": {"", "expected_underscore_headers x_* script_* path_*\nexpected_dot_headers x.*", func(spelling string) bool {
			return strings.HasPrefix(spelling, "X_") || strings.HasPrefix(spelling, "X.") || strings.HasPrefix(spelling, "X~")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoorExpecting(t, test.expected, test.subdirectives)
			token := d.token("book:*:read")
			for _, name := range overrideNames() {
				for _, spelling := range overrideSpellings(name) {
					got := d.ask("GET", "/books", bearer(token, spelling, "/admin", "Connection", spelling))
					seen := d.upstream.taken()
					if slices.Contains(namesOfMethods, name) && test.kept(spelling) {
						if got.status != http.StatusBadRequest || got.reason() != "ambiguous_method" || len(seen) > 0 {
							t.Errorf("%s: %d %s", spelling, got.status, got.body)
						}
						continue
					}
					if got.status != http.StatusOK || len(overridesIn(seen[0])) > 0 {
						t.Errorf("%s: %d %s, %v", spelling, got.status, got.body, seen)
					}
				}
			}
		})
	}
}

// newDoorExpecting is newDoor with options of the server, such as header names that Caddy would drop.
func newDoorExpecting(t *testing.T, options, subdirectives string) *door {
	t.Helper()
	return newDoorSite(t, "{\nservers {\nprotocols h1 h2c\n"+options+"\n}\n}\n"+
		doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n"+subdirectives+"\n}\nreverse_proxy UPSTREAM"))
}

// TestTheMethodIsJudgedBeforeTheToken, at every door, because a matcher of Caddy may have selected the door by the method.
func TestTheMethodIsJudgedBeforeTheToken(t *testing.T) {
	d := newDoor(t, "")
	for _, c := range []struct{ method, target, field string }{
		{"delete", "/books/1", ""}, {"Get", "/books/1", ""},
		{"POST", "/books/1?_method=DELETE", ""}, {"POST", "/books/1?a=%zz&_METHOD=DELETE", ""}, {"POST", "/books/1?a;_method[]=DELETE", ""},
		{"POST", "/books/1?%5fmethod=DELETE", ""}, {"POST", "/books/1?X-HTTP-Method-Override=DELETE", ""},
		{"POST", "/books/1", "X-HTTP-Method-Override: DELETE\r\n"}, {"POST", "/books/1", "X~Forwarded-Method: DELETE\r\n"},
	} {
		for _, authorization := range []string{"", "Authorization: Bearer " + d.token("*") + "\r\n"} {
			got := d.askRaw(c.method + " " + c.target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + c.field + authorization + "\r\n")
			if got.status != http.StatusBadRequest || got.reason() != "ambiguous_method" {
				t.Errorf("%v: %d %s", c, got.status, got.body)
			}
		}
	}
	if seen := d.upstream.taken(); len(seen) > 0 {
		t.Errorf("the upstream was asked %d times", len(seen))
	}
}

// TestForwardedHeadersHaveOneSpelling: reverse_proxy sets these itself, and knows no other spelling.
func TestForwardedHeadersHaveOneSpelling(t *testing.T) {
	d := newDoor(t, "")
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		for _, spelling := range overrideSpellings(name) {
			d.ask("GET", "/", bearer(d.token(""), spelling, "admin.local", "Connection", name))
			for field, values := range d.upstream.taken()[0].Header {
				forged := name != "X-Real-Ip" && slices.Contains(values, "admin.local")
				if foldedName(field) == foldedName(name) && (field != name || forged) {
					t.Errorf("%s arrives as %s: %q", spelling, field, values)
				}
			}
		}
	}
}

// TestTrustedHeaders: they pass in the spelling that is named, and the door does not judge what they override.
func TestTrustedHeaders(t *testing.T) {
	d := newDoorExpecting(t, "expected_underscore_headers script_name", "trust_header X-Forwarded-Prefix SCRIPT_NAME\ntrust_header X-HTTP-Method-Override\nrequire POST /books book:*:read\nrequire DELETE /books book:*:edit")
	for spelling, arrives := range map[string]bool{
		"X-Forwarded-Prefix": true, "x-forwarded-prefix": true, "X_Forwarded_Prefix": false, "X~Forwarded~Prefix": false,
		"SCRIPT_NAME": true, "Script-Name": false, "X-HTTP-Method-Override": true, "X~HTTP-Method-Override": false, "X-Original-URL": false,
	} {
		got := d.ask("POST", "/books", bearer(d.token("book:*:read"), spelling, "DELETE", "Connection", spelling))
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", spelling, got.status, got.body)
		}
		want := []string(nil)
		if arrives {
			want = []string{textproto.CanonicalMIMEHeaderKey(spelling)}
		}
		if found := overridesIn(d.upstream.taken()[0]); !slices.Equal(found, want) {
			t.Errorf("%s: %v arrive, want %v", spelling, found, want)
		}
	}
	if got := d.ask("POST", "/books", bearer(d.token("book:*:read"), "X-HTTP-Method", "DELETE")); got.reason() != "ambiguous_method" {
		t.Errorf("one that is not trusted: %d %s", got.status, got.body)
	}
}

// TestWhatCaddySetsAfterTheDoorArrives: request_header and header_up run after it.
func TestWhatCaddySetsAfterTheDoorArrives(t *testing.T) {
	d := newDoorSite(t, doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n}\nrequest_header X-Forwarded-Prefix /api\nreverse_proxy UPSTREAM {\nheader_up X-Original-URI /api{uri}\n}"))
	d.ask("GET", "/books", bearer(d.token(""), "X-Forwarded-Prefix", "/admin", "X-Original-URI", "/admin"))
	seen := d.upstream.taken()[0].Header
	if !slices.Equal(seen["X-Forwarded-Prefix"], []string{"/api"}) || !slices.Equal(seen["X-Original-Uri"], []string{"/api/books"}) {
		t.Errorf("%v", seen)
	}
}

// TestNoSetOfFieldsOverridesTheRequest sends random sets of fields in random spellings, as headers,
// trailers, connection options and announced trailers.
func TestNoSetOfFieldsOverridesTheRequest(t *testing.T) {
	d := newDoor(t, "")
	names := append(overrideNames(), "X-Client-Id", "X-Client-Scope", "Accept", "X-Sum", "Authorization", "Host")
	random := rand.New(rand.NewPCG(1, 2))
	spelling := func() string {
		name := names[random.IntN(len(names))]
		return strings.Map(func(c rune) rune {
			switch {
			case c == '-' && random.IntN(3) == 0:
				return rune("_.~!|'"[random.IntN(6)])
			case random.IntN(4) == 0:
				return []rune(strings.ToUpper(string(c)))[0]
			}
			return c
		}, name)
	}
	through := 0
	for range 300 {
		var header, trailer strings.Builder
		for range random.IntN(6) {
			if name := spelling(); !slices.Contains([]string{"authorization", "host"}, strings.ToLower(name)) {
				fmt.Fprintf(&header, "%s: evil\r\n", name)
			}
			fmt.Fprintf(&trailer, "%s: evil\r\n", spelling())
		}
		text := "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + d.token("") + "\r\nConnection: close, " + spelling() + "\r\nTrailer: " + spelling() + ", X-Sum\r\n" +
			header.String() + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + trailer.String() + "\r\n"
		got := d.askRaw(text)
		if got.status != http.StatusOK {
			if got.reason() != "ambiguous_method" {
				t.Fatalf("%q: %d %s", text, got.status, got.body)
			}
			continue
		}
		through++
		seen := d.upstream.taken()[0]
		if found := overridesIn(seen); len(found) > 0 || len(seen.Trailer) > 0 || seen.Host != "x" {
			t.Fatalf("%q: %v, %v, %s", text, found, seen.Trailer, seen.Host)
		}
		if id := identityIn(seen.Header, "X-Client-Id"); !slices.Equal(id, []string{"demo"}) {
			t.Fatalf("%q: client %q", text, id)
		}
	}
	if through < 50 {
		t.Errorf("only %d requests go through", through)
	}
}

// TestNoFieldNamesASecondObject that the door did not judge. An upstream that copies objects needs trust_header.
func TestNoFieldNamesASecondObject(t *testing.T) {
	d := newDoor(t, "trust_header X-Copy-From\nrequire /files/{rest...} file:{rest}:use")
	for field, arrives := range map[string]bool{"Destination": false, "X-Amz-Copy-Source": false, "X-Copy-From": true, "x-ms-copy-source": false, "X-MS-Rename-Source": false} {
		got := d.ask("COPY", "/files/mine/x", bearer(d.token("file:mine/*:use"), field, "/files/yours/x"))
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", field, got.status, got.body)
		}
		if seen := d.upstream.taken()[0].Header.Get(field); (seen != "") != arrives {
			t.Errorf("%s arrives as %q", field, seen)
		}
	}
}

// TestNoFieldMapsTheFileThatIsServed: Rack makes an X-Accel-Redirect of these fields, and Caddy may be told to serve
// the file that it names.
func TestNoFieldMapsTheFileThatIsServed(t *testing.T) {
	d := newDoor(t, "")
	d.ask("GET", "/", bearer(d.token(""), "X-Sendfile-Type", "X-Accel-Redirect", "X-Accel-Mapping", "/mine/=/yours/"))
	if seen := d.upstream.taken()[0].Header; seen.Get("X-Sendfile-Type")+seen.Get("X-Accel-Mapping") != "" {
		t.Errorf("%v", seen)
	}
}

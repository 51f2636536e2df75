package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// identitySpellings are what some upstream takes for X-Client-Id.
var identitySpellings = []string{
	"X-Client-Id", "X-Client-ID", "x-client-id", "X_Client_Id", "x_client_id", "X-Client_Id", "X.Client.Id", "X~Client!Id", "x-CLIENT-id",
}

// identityIn is what an upstream that folds names together sees of a field.
func identityIn(header http.Header, name string) (values []string) {
	fold := strings.NewReplacer("_", "-", ".", "-", "~", "-", "!", "-")
	for field, got := range header {
		if strings.EqualFold(fold.Replace(field), name) {
			values = append(values, got...)
		}
	}
	return values
}

func TestTheUpstreamLearnsWhoAsksFromTheTokenAlone(t *testing.T) {
	d := newDoor(t, "")
	for _, spelling := range identitySpellings {
		t.Run(spelling, func(t *testing.T) {
			got := d.ask("GET", "/", bearer(d.token("book:*:read"), spelling, "admin", spelling, "root", "X_Client.Scope", "*"))
			if got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			seen := d.upstream.taken()[0].Header
			if id := identityIn(seen, "X-Client-Id"); !slices.Equal(id, []string{"demo"}) {
				t.Errorf("client %q", id)
			}
			if scope := identityIn(seen, "X-Client-Scope"); !slices.Equal(scope, []string{"book:*:read"}) {
				t.Errorf("scope %q", scope)
			}
		})
	}
}

func TestIdentityHeadersAreRemovedEvenWhenTheyAreNotSet(t *testing.T) {
	for name, setting := range map[string]string{
		"no such claim": "header X-Client-Id team\nheader X-Team team", "none at all": "header off", "other headers": "header X-Team team",
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, setting)
			for _, spelling := range identitySpellings {
				d.ask("GET", "/", bearer(d.token(""), spelling, "admin", "X-Client-Scope", "*"))
				seen := d.upstream.taken()[0].Header
				if id := identityIn(seen, "X-Client-Id"); len(id) > 0 {
					t.Errorf("%s: client %q", spelling, id)
				}
				if scope := identityIn(seen, "X-Client-Scope"); len(scope) > 0 {
					t.Errorf("scope %q", scope)
				}
			}
		})
	}
}

// TestIdentityHeadersInATrailer: some upstreams merge the trailer into the header.
func TestIdentityHeadersInATrailer(t *testing.T) {
	d := newDoor(t, "")
	for _, announced := range []string{"X-Client-Id, X-Sum", "x_client_id, X-Sum", "X-Sum"} {
		t.Run(announced, func(t *testing.T) {
			var fields strings.Builder
			for _, spelling := range identitySpellings {
				fmt.Fprintf(&fields, "%s: admin\r\n", spelling)
			}
			got := d.askRaw("POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + d.token("") + "\r\nTrailer: " + announced +
				"\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n" + fields.String() + "X-Sum: 1\r\n\r\n")
			if got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			seen := d.upstream.taken()[0]
			if id := identityIn(seen.Trailer, "X-Client-Id"); len(id) > 0 {
				t.Errorf("trailer %v", seen.Trailer)
			}
			if id := identityIn(seen.Header, "X-Client-Id"); !slices.Equal(id, []string{"demo"}) {
				t.Errorf("client %q", id)
			}
		})
	}
}

// TestConnectionNamesNoIdentityHeader: with such a connection option a proxy would drop what the door has set.
func TestConnectionNamesNoIdentityHeader(t *testing.T) {
	d := newDoor(t, "header X-Client-Id client_id\nheader X-Team team")
	token := d.issuer.Sign(d.issuer.Claims(doorAudience, "", map[string]any{"team": "catalogue"}), nil)
	for _, options := range [][]string{
		{"X-Client-Id"}, {"x-client-id, x-team"}, {"close, X-Client-Id"}, {"keep-alive", "X_Client_Id , X-Team"}, {"\tX-Client-Id,,X-Team"},
	} {
		header := bearer(token)
		header["Connection"] = options
		if got := d.ask("GET", "/", header); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		seen := d.upstream.taken()[0].Header
		if seen.Get("X-Client-Id") != "demo" || seen.Get("X-Team") != "catalogue" {
			t.Errorf("Connection: %q loses %v", options, seen)
		}
	}
}

func TestClaimsAsHeaders(t *testing.T) {
	d := newDoor(t, "header x-value value")
	cases := map[string]struct {
		value any
		want  []string
	}{
		"text":           {"catalogue", []string{"catalogue"}},
		"spaces":         {"a b", []string{"a b"}},
		"UTF-8":          {"Ü", []string{"Ü"}},
		"list":           {[]string{"a", "b"}, []string{"a b"}},
		"mixed list":     {[]any{"a", 1}, []string{`["a",1]`}},
		"number":         {42, []string{"42"}},
		"boolean":        {false, []string{"false"}},
		"object":         {map[string]any{"a": 1}, []string{`{"a":1}`}},
		"null":           {nil, nil},
		"empty":          {"", nil},
		"CR LF":          {"a\r\nX-Client-Id: admin", nil},
		"LF":             {"a\nb", nil},
		"NUL":            {"a\x00b", nil},
		"space around":   {" admin", nil}, // a reader trims it
		"tab behind":     {"admin\t", nil},
		"empty list":     {[]string{}, nil},
		"JSON of spaces": {[]any{"x admin", 1}, []string{`["x admin",1]`}},
		"LF in a member": {map[string]any{"a": "b\n"}, []string{`{"a":"b\n"}`}}, // escaped by JSON
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			token := d.issuer.Sign(d.issuer.Claims(doorAudience, "", map[string]any{"value": c.value}), nil)
			if got := d.ask("GET", "/", bearer(token, "X-Value", "forged")); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			seen := d.upstream.taken()[0].Header
			if got := seen.Values("X-Value"); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if seen.Get("X-Client-Id") != "" {
				t.Errorf("another header came of it: %v", seen)
			}
		})
	}
}

// TestListsThatCannotBeTold: joined by spaces, these lists would read as other lists.
func TestListsThatCannotBeTold(t *testing.T) {
	d := newDoor(t, "header x-groups groups")
	for name, groups := range map[string][]string{
		"a space": {"x admin"}, "a space among others": {"staff", "x admin"}, "a tab": {"x\tadmin"}, "a line feed": {"x\nadmin"},
		"a no-break space": {"x\u00a0admin"}, "an ideographic space": {"x\u3000admin"}, "at its end": {"admin "}, "an empty element": {"", "admin"},
	} {
		token := d.issuer.Sign(d.issuer.Claims(doorAudience, "", map[string]any{"groups": groups}), nil)
		got := d.ask("GET", "/", bearer(token))
		if got.status != http.StatusUnauthorized || got.reason() != "bad_claims" || len(d.upstream.taken()) > 0 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	token := d.issuer.Sign(d.issuer.Claims(doorAudience, "", map[string]any{"groups": []string{"x", "admin"}, "other": []string{"x admin"}, "scope": "a b"}), nil)
	if got := d.ask("GET", "/", bearer(token)); got.status != http.StatusOK || d.upstream.taken()[0].Header.Get("X-Groups") != "x admin" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestAPlaceholderOfAListThatCannotBeToldIsEmpty(t *testing.T) {
	d := newDoorSite(t, doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n}\nrespond `<{http.auth.user.claims.groups}>`"))
	for want, groups := range map[string][]string{"<x admin>": {"x", "admin"}, "<>": {"x admin"}} {
		token := d.issuer.Sign(d.issuer.Claims(doorAudience, "", map[string]any{"groups": groups}), nil)
		if got := d.ask("GET", "/", bearer(token)); got.body != want {
			t.Errorf("%v: %s, want %s", groups, got.body, want)
		}
	}
}

// TestIdentityHeadersAreNotEchoedInRefusals: they are removed first, also from requests that need no token.
func TestIdentityHeadersAreNotEchoedInRefusals(t *testing.T) {
	d := newDoorSite(t, doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n}\nhandle_errors {\nrespond `client={http.request.header.X-Client-Id}`\n}"))
	if got := d.ask("GET", "/", http.Header{"X-Client-Id": {"admin"}}); strings.Contains(got.body, "admin") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestABodyWithATrailerArrivesWhole, without the trailer.
func TestABodyWithATrailerArrivesWhole(t *testing.T) {
	d := newDoor(t, "")
	text := strings.Repeat("book ", 100_000)
	d.upstream.answerWith(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, err == nil && string(body) == text)
	})
	request, err := http.NewRequestWithContext(t.Context(), "PUT", "http://"+d.address, io.NopCloser(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header, request.Trailer = bearer(d.token("")), http.Header{"X-Sum": {"1"}}
	if got := d.send(request); got.body != "true" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if seen := d.upstream.taken()[0].Trailer; len(seen) > 0 {
		t.Errorf("trailer %v", seen)
	}
}

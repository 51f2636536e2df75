package httpguard

import (
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func newTestOverrides(t testing.TB, trusted ...string) *Overrides {
	t.Helper()
	o, err := NewOverrides(trusted)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestTheListOfOverrides: each entry is canonical, counts once, and has an upstream that heeds it.
func TestTheListOfOverrides(t *testing.T) {
	for n, override := range overrides {
		if textproto.CanonicalMIMEHeaderKey(override.name) != override.name || override.heeded == "" {
			t.Errorf("%+v", override)
		}
		for _, other := range overrides[n+1:] {
			if foldsTo(override.name, other.name) {
				t.Errorf("%s is listed twice", override.name)
			}
		}
	}
}

func TestAmbiguousMethod(t *testing.T) {
	o := newTestOverrides(t, "X-Method-Override")
	for name, test := range map[string]struct {
		method, proto, query string
		major                int
		header               http.Header
		ok                   bool
	}{
		"GET":                           {method: "GET", ok: true},
		"an extension":                  {method: "M-SEARCH", ok: true},
		"lower case":                    {method: "delete"},
		"mixed case":                    {method: "Get"},
		"CONNECT":                       {method: "CONNECT", major: 1},
		"CONNECT over HTTP/2":           {method: "CONNECT", major: 2},
		"WebSocket over HTTP/2":         {method: "CONNECT", major: 2, header: http.Header{":protocol": {"websocket"}}, ok: true},
		"another protocol over HTTP/2":  {method: "CONNECT", major: 2, header: http.Header{":protocol": {"connect-udp"}}},
		"its header over HTTP/1.1":      {method: "CONNECT", major: 1, header: http.Header{":protocol": {"websocket"}}},
		"WebSocket over HTTP/3":         {method: "CONNECT", major: 3, proto: "websocket", ok: true},
		"another protocol over HTTP/3":  {method: "CONNECT", major: 3, proto: "connect-udp"},
		"override":                      {method: "POST", header: http.Header{"X-Http-Method-Override": {"DELETE"}}},
		"override without a value":      {method: "POST", header: http.Header{"X-Http-Method-Override": {""}}},
		"override in another spelling":  {method: "POST", header: http.Header{"X_http-Method": {"DELETE"}}},
		"of a proxy":                    {method: "POST", header: http.Header{"X-Forwarded-Method": {"DELETE"}}},
		"trusted":                       {method: "POST", header: http.Header{"X-Method-Override": {"DELETE"}}, ok: true},
		"a field that sounds like that": {method: "POST", header: http.Header{"X-Http-Methods": {"DELETE"}}, ok: true},
		"parameter":                     {method: "POST", query: "_method=DELETE"},
	} {
		r := &http.Request{Method: test.method, ProtoMajor: test.major, Proto: test.proto, Header: test.header, URL: &url.URL{RawQuery: test.query}}
		if reason := o.AmbiguousMethod(r); (reason == "") != test.ok {
			t.Errorf("%s: %q", name, reason)
		}
	}
}

func TestQueryOverridesMethod(t *testing.T) {
	for _, query := range []string{
		"_method=DELETE", "_METHOD=DELETE", "_method", "a=1&_method=DELETE", "a=1;_method=DELETE", "a=%zz&_method=DELETE", "%zz;%5Fmethod",
		"_method[]=DELETE", "_method%5B%5D=DELETE", "_method[0]=x", "[_method]=DELETE", "[method=DELETE", ".method=DELETE",
		"%5fmethod=DELETE", "_%6Dethod=DELETE", "%255fmethod=DELETE", "%u005fmethod=DELETE", "+_method=DELETE", "%20_method%20=DELETE",
		"?_method=DELETE", "%3f_method=DELETE", "a&?_method=DELETE", "+?_method=DELETE",
		"_HttpMethod=PATCH", "a&$httpMethod=DELETE", "_method%00x=DELETE", "X-HTTP-Method-Override=DELETE", "x_http_method=DELETE", "x-tunneled-method=DELETE", "_method%3DDELETE",
	} {
		if !queryOverridesMethod(query) {
			t.Errorf("%q passes", query)
		}
	}
	for _, query := range []string{
		"", "&", "=", ";;", "a=_method", "a=1", "method=DELETE", "_methods=x", "_method_name=x", "my_method=x", "payment_method=card", "%", "%u", "%u00",
		"_=1", "[]=1", "%00=1", "x=//..%2f;%00&y", "filter[_method]=x",
	} {
		if queryOverridesMethod(query) {
			t.Errorf("%q is refused", query)
		}
	}
}

func TestStripOverrides(t *testing.T) {
	o := newTestOverrides(t, "x-forwarded-prefix", "SCRIPT_NAME")
	h := http.Header{
		"X-Original-Url": {"/admin"}, "x_rewrite.url": {"/admin"}, "Forwarded": {"host=x"}, "Path_info": {"/admin"}, "$wssn": {"x"},
		"X-Forwarded-Prefix": {"/api"}, "X_forwarded_prefix": {"/admin"}, "Script_name": {"/api"}, "Script-Name": {"/admin"},
		"X-Forwarded-Host": {"a"}, "X_forwarded_host": {"b"}, "X-Real-Ip": {"192.0.2.1"}, "X.real-Ip": {"192.0.2.2"},
		"X-Original-Urls": {"1"}, "Connection": {"close, X-Forwarded-Prefix, x-original-url, X_Forwarded_For"},
	}
	o.Strip(h)
	want := []string{"Connection", "Script_name", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Original-Urls", "X-Real-Ip"}
	if got := slices.Sorted(maps.Keys(h)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := h.Get("Connection"); got != "close" {
		t.Errorf("Connection: %s", got)
	}
	for name, want := range map[string]bool{"X-Original-Url": true, "X-Http-Method": true, "X-Forwarded-Prefix": false, "Script-Name": true, "Script_name": false, "X-Forwarded-For": false, "X_forwarded_for": true, "Accept": false} {
		if got := o.Drops(name); got != want {
			t.Errorf("drops %s: %t", name, got)
		}
	}
}

func TestTrustedOverrides(t *testing.T) {
	for _, names := range [][]string{{"Accept"}, {"X-Forwarded-For"}, {"X-Forwarded-Host"}, {""}, {"Forwarded", "forwarded"}, {"Script-Name", "SCRIPT_NAME"}} {
		if _, err := NewOverrides(names); err == nil {
			t.Errorf("%q are taken", names)
		}
	}
}

// TestEveryOverrideIsFound: foldedNames would never find a name that is too long for it.
func TestEveryOverrideIsFound(t *testing.T) {
	o := newTestOverrides(t)
	for _, override := range overrides {
		if !o.refused.has(override.name) && !o.stripped.has(strings.ToLower(override.name)) {
			t.Errorf("%s is not found", override.name)
		}
	}
}

// FuzzOverrides: of whatever fields a client sends, none that folds to an entry of the list is left when
// the request is not refused.
func FuzzOverrides(f *testing.F) {
	f.Add("X-Original-URL\nX_Original_Url", "a=1", "close, forwarded")
	f.Add("x.http.method", "_method", "")
	o := newTestOverrides(f)
	f.Fuzz(func(t *testing.T, names, query, connection string) {
		r := &http.Request{Method: "POST", URL: &url.URL{RawQuery: query}, Header: http.Header{"Connection": {connection}}}
		for name := range strings.SplitSeq(names, "\n") {
			r.Header[name] = []string{"x"}
		}
		o.Strip(r.Header)
		if o.AmbiguousMethod(r) != "" {
			return
		}
		for field := range r.Header {
			if listedName(field) != "" || FoldsToAny(field, proxyFields) && !slices.Contains(proxyFields, field) {
				t.Fatalf("%q is left", field)
			}
		}
		for parameter := range strings.SplitSeq(query, "&") {
			if name, err := url.QueryUnescape(parameter); err == nil && strings.HasPrefix(strings.ToLower(name)+"=", "_method=") {
				t.Fatalf("%q is left", parameter)
			}
		}
	})
}

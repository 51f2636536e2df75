package caddymodule_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

const formType = "application/x-www-form-urlencoded"

// TestTokenEndpointBadForms sends forms with one error each.
func TestTokenEndpointBadForms(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	good := w.form("demo", "")
	for name, c := range map[string]struct{ form, code string }{
		"empty":                    {"", "invalid_request"},
		"no grant_type":            {strings.Replace(good, "grant_type", "x", 1), "invalid_request"},
		"another grant_type":       {"grant_type=password&username=a&password=b", "unsupported_grant_type"},
		"grant_type in capitals":   {strings.Replace(good, "client_credentials", "CLIENT_CREDENTIALS", 1), "unsupported_grant_type"},
		"a repeated parameter":     {good + "&scope=book:read&scope=book:edit", "invalid_request"},
		"the same twice":           {good + "&grant_type=client_credentials", "invalid_request"},
		"two secrets":              {good + "&client_secret=x", "invalid_request"},
		"malformed percent":        {good + "&scope=%zz", "invalid_request"},
		"half a percent":           {good + "&scope=book%", "invalid_request"},
		"semicolons":               {good + ";scope=book", "invalid_request"},
		"NUL in a scope":           {good + "&scope=book%00", "invalid_request"},
		"NUL in a name":            {good + "&scope=book:read&a%00=b", "invalid_request"},
		"no UTF-8":                 {good + "&scope=book%ff", "invalid_request"},
		"newline in a scope":       {good + "&scope=book:read%0abook:edit", "invalid_scope"},
		"CR LF in a scope":         {good + "&scope=book%0d%0aSet-Cookie:a", "invalid_scope"},
		"tab between scopes":       {good + "&scope=book:read%09book:edit", "invalid_scope"},
		"quotes in a scope":        {good + "&scope=%22book%22", "invalid_scope"},
		"backslash in a scope":     {good + "&scope=book%5c", "invalid_scope"},
		"no ASCII in a scope":      {good + "&scope=b%C3%BCcher", "invalid_scope"},
		"DEL in a scope":           {good + "&scope=book%7f", "invalid_scope"},
		"empty segments":           {good + "&scope=book::read", "invalid_scope"},
		"a wildcard in the middle": {good + "&scope=book:a*b:read", "invalid_scope"},
		"a wildcard resource part": {good + "&scope=bo*:1:read", "invalid_scope"},
		"a scope without end":      {good + "&scope=book:" + strings.Repeat("x", 600) + ":read", "invalid_scope"},
		"101 scopes":               {good + "&scope=" + strings.ReplaceAll(bookScopes(101, ""), " ", "+"), "invalid_scope"},
		"parameters without end":   {good + "&scope=book:read" + strings.Repeat("&a=b", 2000), "invalid_request"},
		"JSON as a form":           {`{"grant_type":"client_credentials"}`, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) { refusedToken(t, w.post(c.form), http.StatusBadRequest, c.code) })
	}
}

func TestTokenEndpointBadJSON(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	good := strings.TrimSuffix(w.json("demo", "book:read", nil), "}")
	for name, c := range map[string]struct{ body, code string }{
		"empty":                   {"", "invalid_request"},
		"no object":               {`"book:read"`, "invalid_request"},
		"null":                    {`null`, "invalid_request"},
		"an array":                {"[" + good + "}]", "invalid_request"},
		"cut off":                 {good, "invalid_request"},
		"text after it":           {good + "} x", "invalid_request"},
		"a second object":         {good + "}{}", "invalid_request"},
		"a duplicate key":         {good + `,"scope":"book:edit"}`, "invalid_request"},
		"a duplicate unknown key": {good + `,"x":"1","x":"1"}`, "invalid_request"},
		"a duplicate escaped key": {good + `,"sc\u006fpe":"book:edit"}`, "invalid_request"},
		"scopes as an array":      {strings.Replace(good, `"book:read"`, `["book:read"]`, 1) + "}", "invalid_request"},
		"a number":                {strings.Replace(good, `"book:read"`, `1`, 1) + "}", "invalid_request"},
		"null for a scope":        {strings.Replace(good, `"book:read"`, `null`, 1) + "}", "invalid_scope"},
		"nested without end":      {good + `,"x":` + strings.Repeat("[", 20000) + "}", "invalid_request"},
		"resource nested":         {good + `,"resource":[["https://api.example.com"]]}`, "invalid_request"},
		"resource a number":       {good + `,"resource":[1]}`, "invalid_request"},
		"a NUL":                   {strings.Replace(good, "book:read", `book\u0000`, 1) + "}", "invalid_request"},
		"half a surrogate pair":   {strings.Replace(good, "book:read", `\ud800`, 1) + "}", "invalid_request"},
		"no UTF-8":                {strings.Replace(good, "book:read", "\xff", 1) + "}", "invalid_request"},
		"a newline in a scope":    {strings.Replace(good, "book:read", `book:read\nbook:edit`, 1) + "}", "invalid_scope"},
		"quotes in a scope":       {strings.Replace(good, "book:read", `\"book\"`, 1) + "}", "invalid_scope"},
		"a form as JSON":          {w.form("demo", "book:read"), "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) { refusedToken(t, w.postJSON(c.body), http.StatusBadRequest, c.code) })
	}
}

// TestTokenEndpointBadEnvelopes is about what surrounds the body.
func TestTokenEndpointBadEnvelopes(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	good := w.form("demo", "book:read")
	for name, c := range map[string]struct {
		query  string
		header []string
	}{
		"no content type":           {"", nil},
		"an empty content type":     {"", []string{"Content-Type", ""}},
		"text":                      {"", []string{"Content-Type", "text/plain"}},
		"multipart":                 {"", []string{"Content-Type", "multipart/form-data; boundary=x"}},
		"UTF-16":                    {"", []string{"Content-Type", formType + "; charset=utf-16"}},
		"a malformed content type":  {"", []string{"Content-Type", formType + "; charset"}},
		"two content types":         {"", []string{"Content-Type", formType, "Content-Type", "application/json"}},
		"the secret in the URL":     {"?" + good, []string{"Content-Type", formType}},
		"a scope in the URL":        {"?scope=book:read", []string{"Content-Type", formType}},
		"said to be gzip":           {"", []string{"Content-Type", formType, "Content-Encoding", "gzip"}},
		"said to be of two codings": {"", []string{"Content-Type", formType, "Content-Encoding", "identity, br"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			a := w.do(w.request(http.MethodPost, w.tokenURL()+c.query, strings.NewReader(good), c.header...))
			refusedToken(t, a, http.StatusBadRequest, "invalid_request")
		})
	}
	t.Run("gzip", func(t *testing.T) {
		w := w.in(t)
		var zipped bytes.Buffer
		zip := gzip.NewWriter(&zipped)
		_, _ = io.WriteString(zip, good)
		_ = zip.Close()
		a := w.do(w.request(http.MethodPost, w.tokenURL(), &zipped, "Content-Type", formType, "Content-Encoding", "gzip"))
		refusedToken(t, a, http.StatusBadRequest, "invalid_request")
	})
}

// TestQueryOfAClient: parameters that the endpoints do not know are ignored, and no line of the plugin has them.
func TestQueryOfAClient(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	for _, endpoint := range []string{"token", "introspect", "revoke"} {
		for _, form := range []string{w.form("demo", "book:read") + "&token=x", "grant_type=client_credentials"} {
			url := w.url + "/oauth2/" + endpoint
			want := w.do(w.request(http.MethodPost, url, strings.NewReader(form), "Content-Type", formType))
			got := w.do(w.request(http.MethodPost, url+"?client-request-id=planted&api-version=2", strings.NewReader(form), "Content-Type", formType))
			if got.status != want.status || got.Error != want.Error {
				t.Errorf("%s: %s, without the query %s", endpoint, got, want)
			}
		}
	}
	if strings.Contains(w.Log(), "planted") {
		t.Error("the log has a parameter that the endpoints ignore")
	}
}

func TestTokenEndpointMethods(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW", "post"} {
		t.Run(method, func(t *testing.T) {
			w := w.in(t)
			a := w.do(w.request(method, w.tokenURL(), nil))
			if a.header.Get("Allow") != http.MethodPost {
				t.Errorf("Allow is %q", a.header.Get("Allow"))
			}
			if method == http.MethodHead {
				if a.status != http.StatusMethodNotAllowed || a.body != "" {
					t.Errorf("got %s", a)
				}
				return
			}
			refusedToken(t, a, http.StatusMethodNotAllowed, "invalid_request")
		})
	}
}

// TestTokenEndpointBodySize: the limit applies before the credentials are read, with and without a Content-Length.
func TestTokenEndpointBodySize(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	const limit = 64 << 10
	fill := func(form string, size int) string { return form + "&x=" + strings.Repeat("a", size-len(form)-3) }
	good, stranger := w.form("demo", "book:read"), "grant_type=client_credentials&client_id=nobody&client_secret=x"
	for name, c := range map[string]struct {
		body   io.Reader
		status int
	}{
		"the most":                  {strings.NewReader(fill(good, limit)), 200},
		"the most, chunked":         {io.MultiReader(strings.NewReader(fill(good, limit))), 200},
		"one more":                  {strings.NewReader(fill(good, limit+1)), 413},
		"one more, chunked":         {io.MultiReader(strings.NewReader(fill(good, limit+1))), 413},
		"one more, of a stranger":   {strings.NewReader(fill(stranger, limit+1)), 413},
		"chunked, of a stranger":    {io.MultiReader(strings.NewReader(fill(stranger, limit+1))), 413},
		"well-formed up to the end": {strings.NewReader(strings.Repeat(good+"&", 1000)), 413},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			a := w.do(w.request(http.MethodPost, w.tokenURL(), c.body, "Content-Type", formType))
			if c.status == http.StatusOK {
				w.granted(a)
				return
			}
			refusedToken(t, a, http.StatusRequestEntityTooLarge, "invalid_request")
		})
	}
}

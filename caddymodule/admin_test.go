package caddymodule_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestWalkthroughByAPI does the whole walkthrough with the API, from an empty server.
func TestWalkthroughByAPI(t *testing.T) {
	w := startAdmin(t)
	secret := w.book()
	granted, rejected, _ := w.token("ci-bot", secret, "book:*:read book:*:edit")
	if granted != "book:*:read" || rejected != "book:*:edit" {
		t.Errorf("granted %q, rejected %q", granted, rejected)
	}
	w.want(200, "POST", "/m2m/clients/ci-bot/grants", `{"scope": "book:*:edit"}`)
	granted, rejected, _ = w.token("ci-bot", secret, "book:*:read book:*:edit")
	if granted != "book:*:read book:*:edit" || rejected != "" {
		t.Errorf("after the grant: granted %q, rejected %q", granted, rejected)
	}
	w.want(200, "POST", "/m2m/clients/ci-bot/disable", "")
	if _, _, failure := w.token("ci-bot", secret, "book:read"); failure != "invalid_client" {
		t.Errorf("disabled: %q", failure)
	}
	w.want(200, "POST", "/m2m/clients/ci-bot/enable", "")
	w.want(200, "DELETE", "/m2m/clients/ci-bot/grants?scope=book:*:edit", "")
	if granted, rejected, _ = w.token("ci-bot", secret, "book:read book:edit"); granted != "book:read" || rejected != "book:edit" {
		t.Errorf("after the grant was removed: granted %q, rejected %q", granted, rejected)
	}
	if err := w.Restart(w.config()); err != nil {
		t.Fatal(err)
	}
	if granted, _, _ := w.token("ci-bot", secret, "book:read"); granted != "book:read" {
		t.Errorf("after a restart: granted %q", granted)
	}
	w.want(204, "DELETE", "/m2m/clients/ci-bot", "")
	if _, _, failure := w.token("ci-bot", secret, "book:read"); failure != "invalid_client" {
		t.Errorf("deleted: %q", failure)
	}
	w.want(204, "DELETE", "/m2m/resources/book", "")
}

// TestAPIRoutesAreDocumented: the API has the paths of docs/openapi.yaml, and no others.
func TestAPIRoutesAreDocumented(t *testing.T) {
	w := startAdmin(t)
	text, err := os.ReadFile("../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	paths := regexp.MustCompile(`(?m)^  (/m2m/\S+):\n((?:    .*\n)+)`).FindAllStringSubmatch(string(text), -1)
	if len(paths) < 10 {
		t.Fatalf("%d paths are documented", len(paths))
	}
	methods := regexp.MustCompile(`(?m)^    (get|post|patch|delete):`)
	for _, path := range paths {
		var documented []string
		for _, m := range methods.FindAllStringSubmatch(path[2], -1) {
			documented = append(documented, strings.ToUpper(m[1]))
		}
		answer := w.call("PUT", path[1], "")
		allowed := slices.DeleteFunc(strings.Split(answer.Header.Get("Allow"), ", "), func(m string) bool { return m == "HEAD" })
		if path[1] == "/m2m/clients/{id}/secrets/rotate" {
			allowed = slices.DeleteFunc(allowed, func(m string) bool { return m == "DELETE" }) // of a secret with that ID
		}
		slices.Sort(documented)
		if answer.StatusCode != http.StatusMethodNotAllowed || !slices.Equal(documented, allowed) {
			t.Errorf("%s: documented are %v, taken are %v (%s)", path[1], documented, allowed, answer.Status)
		}
	}
}

func TestAPIRefuses(t *testing.T) {
	w := startAdmin(t)
	w.book()
	grant := func(resource, identifier, action string) string {
		return fmt.Sprintf(`{"id": "new", "grants": [{"resource": %q, "identifiers": [%q], "actions": [%q]}]}`, resource, identifier, action)
	}
	before := string(w.want(200, "GET", "/m2m/export", "").body)
	secret := registry.NewSecret()
	cases := map[string]struct {
		status             int
		method, path, body string
		code, message      string
		headers            []string
	}{
		"id outside the grammar":         {400, "POST", "/m2m/clients", `{"id": "a%b"}`, "invalid", "a client's id", nil},
		"no id":                          {400, "POST", "/m2m/clients", `{}`, "invalid", "a client's id: empty", nil},
		"id of dots":                     {400, "POST", "/m2m/clients", `{"id": ".."}`, "invalid", `"." and ".."`, nil},
		"code outside the grammar":       {400, "POST", "/m2m/resources", `{"code": "a b", "actions": {"x": ""}}`, "invalid", "a resource's code", nil},
		"no code":                        {400, "POST", "/m2m/resources", `{"actions": {"x": ""}}`, "invalid", "code", nil},
		"action outside the grammar":     {400, "POST", "/m2m/resources", `{"code": "a", "actions": {"*": ""}}`, "invalid", "an action's name", nil},
		"no action":                      {400, "POST", "/m2m/resources", `{"code": "a"}`, "invalid", "must have actions", nil},
		"unknown field of a client":      {400, "POST", "/m2m/clients", `{"id": "new", "token_tll": "5m"}`, "invalid", `unknown field "token_tll" in a client: did you mean "token_ttl"?`, nil},
		"unknown field of a patch":       {400, "PATCH", "/m2m/clients/ci-bot", `{"token_tll": "5m"}`, "invalid", `did you mean "token_ttl"?`, nil},
		"unknown field of a resource":    {400, "POST", "/m2m/resources", `{"code": "a", "actions": {"x": ""}, "audiance": "x"}`, "invalid", `did you mean "audience"?`, nil},
		"secrets by a patch":             {400, "PATCH", "/m2m/clients/ci-bot", `{"secrets": []}`, "invalid", `"secrets" cannot be patched`, nil},
		"a secret in a description":      {400, "PATCH", "/m2m/clients/ci-bot", `{"description": "key is ` + secret + `"}`, "invalid", "a secret stands in description: the registry holds no secret", nil},
		"wrong type":                     {400, "POST", "/m2m/clients", `{"id": 5}`, "invalid", "id must be a string", nil},
		"a ttl that is none":             {400, "PATCH", "/m2m/clients/ci-bot", `{"token_ttl": "soon"}`, "invalid", "token_ttl", nil},
		"trailing JSON":                  {400, "POST", "/m2m/clients", `{"id": "new"} {}`, "invalid", "line 1, column 16: something follows", nil},
		"a name twice":                   {400, "POST", "/m2m/clients", `{"id": "new", "id": "other"}`, "invalid", `line 1, column 15: the name "id" is repeated`, nil},
		"a name in the wrong case":       {400, "POST", "/m2m/clients", `{"ID": "new"}`, "invalid", `unknown field "ID" in a client`, nil},
		"a secret as an id":              {400, "POST", "/m2m/clients", `{"id": "` + secret + `"}`, "invalid", "a secret stands in a client's id", nil},
		"a body where none is taken":     {400, "POST", "/m2m/clients/ci-bot/disable", `{"reason": "x"}`, "invalid", "not accepted", nil},
		"a version of what is new":       {400, "POST", "/m2m/clients", `{"id": "new"}`, "invalid", "If-Match", []string{"If-Match", `"0123"`}},
		"a version of a whole registry":  {400, "POST", "/m2m/apply", `{}`, "invalid", "If-Match", []string{"If-Match", `"0123"`}},
		"half of a name":                 {400, "POST", "/m2m/clients", "{\n \"id\": x}", "invalid", "line 2, column 8: it is not JSON", nil},
		"hashes of secrets":              {400, "POST", "/m2m/clients", `{"id": "new", "secrets": []}`, "invalid", `unknown field "secrets" in a client: did you mean "secret"?`, nil},
		"fields that can be patched":     {400, "PATCH", "/m2m/clients/ci-bot", `{"zzzzzz": 1}`, "invalid", "known are attributes, audiences, auth, description, disabled, dpop_bound_access_tokens, expires, grants, identities, introspects, jwks, jwks_uri, limits, networks, tls_client_auth_san_dns, tls_client_auth_san_email, tls_client_auth_san_ip, tls_client_auth_san_uri, tls_client_auth_subject_dn, tls_client_certificate_bound_access_tokens, token_ttl", nil},
		"secret that is neither":         {400, "POST", "/m2m/clients", `{"id": "new", "secret": "no"}`, "invalid", "secret must be true or false", nil},
		"expiry of no secret":            {400, "POST", "/m2m/clients", `{"id": "new", "secret": false, "secret_expires": "2090-01-01T00:00:00Z"}`, "invalid", "secret_expires needs a secret", nil},
		"expiry of a secret in the past": {400, "POST", "/m2m/clients", `{"id": "new", "secret_expires": "2020-01-01T00:00:00Z"}`, "invalid", "secret_expires is in the past", nil},
		"expiry in the past":             {400, "POST", "/m2m/clients", `{"id": "new", "expires": "2020-01-01T00:00:00Z"}`, "invalid", "expires is in the past: to end a client now, disable it", nil},
		"patch with a past expiry":       {400, "PATCH", "/m2m/clients/ci-bot", `{"expires": "2020-01-01T00:00:00Z"}`, "invalid", "expires is in the past", nil},
		"expiry of another form":         {400, "POST", "/m2m/clients/ci-bot/secrets", `{"expires": "tomorrow"}`, "invalid", "expires must be a time as in RFC 3339", nil},
		"expiry that is null":            {400, "POST", "/m2m/clients/ci-bot/secrets", `{"expires": null}`, "invalid", "expires must be a time as in RFC 3339", nil},
		"overlap of another type":        {400, "POST", "/m2m/clients/ci-bot/secrets/rotate", `{"overlap": 5}`, "invalid", "overlap must be a string", nil},
		"misspelt overlap":               {400, "POST", "/m2m/clients/ci-bot/secrets/rotate", `{"overlp": "5h"}`, "invalid", `unknown field "overlp" in a rotation: did you mean "overlap"?`, nil},
		"misspelt scope":                 {400, "POST", "/m2m/clients/ci-bot/grants", `{"scop": "book"}`, "invalid", `unknown field "scop" in a grant: did you mean "scope"?`, nil},
		"no scope":                       {400, "POST", "/m2m/clients/ci-bot/grants", `{}`, "invalid", "scope is missing", nil},
		"no scope to remove":             {400, "DELETE", "/m2m/clients/ci-bot/grants", "", "invalid", "scope is missing", nil},
		"scope and scopes":               {400, "POST", "/m2m/clients/ci-bot/grants", `{"scope": "book", "scopes": ["book"]}`, "invalid", "only one of", nil},
		"scopes of another type":         {400, "POST", "/m2m/clients/ci-bot/grants", `{"scopes": ["book", null]}`, "invalid", "scopes must be a list of strings", nil},
		"one of several is unknown":      {400, "POST", "/m2m/clients/ci-bot/grants", `{"scopes": ["book:5:read", "nope:*:x"]}`, "invalid", `unknown resource "nope"`, nil},
		"one of several is not there":    {404, "DELETE", "/m2m/clients/ci-bot/grants?scope=book:*:read&scope=nope:1:x", "", "not_found", "no such grant: allow nope:1:x", nil},
		"empty version":                  {400, "PATCH", "/m2m/clients/ci-bot", `{"disabled": true}`, "invalid", "If-Match is empty", []string{"If-Match", ""}},
		"empty version to delete":        {400, "DELETE", "/m2m/resources/book", "", "invalid", "If-Match is empty", []string{"If-Match", " "}},
		"empty version of what is new":   {400, "POST", "/m2m/clients", `{"id": "new"}`, "invalid", "If-Match is not accepted", []string{"If-Match", ""}},
		"a compressed body":              {415, "POST", "/m2m/apply", `{}`, "unsupported_media_type", "Content-Encoding", []string{"Content-Encoding", "gzip"}},
		"a secret as a field":            {400, "POST", "/m2m/clients", `{"id": "le", "` + secret + `": 1}`, "invalid", "unknown field in a client", nil},
		"a mistyped secret as a field":   {400, "POST", "/m2m/clients", `{"id": "le", "` + secret[:50] + `": 1}`, "invalid", "unknown field in a client", nil},
		"a secret as a field of a patch": {400, "PATCH", "/m2m/clients/ci-bot", `{"` + secret + `": 1}`, "invalid", "a secret stands in a name in a client", nil},
		"a secret twice":                 {400, "PATCH", "/m2m/clients/ci-bot", `{"` + secret + `": 1, "` + secret + `": 1}`, "invalid", "is repeated", nil},
		"a secret as a scope":            {400, "POST", "/m2m/clients/ci-bot/grants", `{"scope": "` + secret + `:*:x"}`, "invalid", "", nil},
		"a secret as a query parameter":  {400, "GET", "/m2m/clients?" + secret + "=1", "", "invalid", "unknown query parameter", nil},
		"a secret as a path":             {404, "GET", "/m2m/clients/" + secret, "", "not_found", "no client", nil},
		"a secret in an action":          {400, "POST", "/m2m/resources", `{"code": "r", "actions": {"x": "see ` + secret + `"}}`, "invalid", "a secret stands in an action's description", nil},
		"a secret in a file":             {400, "POST", "/m2m/apply", `{"clients": {"x": {"description": "see ` + secret + `"}}}`, "invalid", "a secret stands in description: a file holds no secret", nil},
		"null":                           {400, "PATCH", "/m2m/clients/ci-bot", `null`, "invalid", "JSON object", nil},
		"half of JSON":                   {400, "POST", "/m2m/clients", `{"id": `, "invalid", "the JSON is not complete", nil},
		"grant on an unknown resource":   {400, "POST", "/m2m/clients", grant("bok", "*", "read"), "invalid", `did you mean "book"?`, nil},
		"grant of an unknown action":     {400, "POST", "/m2m/clients", grant("book", "*", "raed"), "invalid", `did you mean "read"?`, nil},
		"grant on an odd identifier":     {400, "POST", "/m2m/clients", grant("book", "a*b", "read"), "invalid", "an identifier", nil},
		"grant of an unknown scope":      {400, "POST", "/m2m/clients/ci-bot/grants", `{"scope": "bok:*:read"}`, "invalid", "unknown resource", nil},
		"grant of a malformed scope":     {400, "POST", "/m2m/clients/ci-bot/grants", `{"scope": "a b"}`, "invalid", `scope "a b": character 0x20`, nil},
		"grant of an odd effect":         {400, "POST", "/m2m/clients/ci-bot/grants", `{"scope": "book", "effect": "Deny"}`, "invalid", "effect", nil},
		"no such grant":                  {404, "DELETE", "/m2m/clients/ci-bot/grants?scope=book:*:edit", "", "not_found", "no such grant", nil},
		"no such client":                 {404, "GET", "/m2m/clients/nobody", "", "not_found", `no client "nobody"`, nil},
		"no such client to delete":       {404, "DELETE", "/m2m/clients/nobody", "", "not_found", `no client "nobody"`, nil},
		"no such secret":                 {404, "DELETE", "/m2m/clients/ci-bot/secrets/s9", "", "not_found", `no secret "s9"`, nil},
		"no such route":                  {404, "GET", "/m2m/client", "", "not_found", "no such route", nil},
		"no such issuer":                 {404, "GET", "/m2m/clients?issuer=https://x.example.com", "", "not_found", "no issuer", nil},
		"client exists":                  {409, "POST", "/m2m/clients", `{"id": "ci-bot"}`, "exists", "exists already", nil},
		"resource exists":                {409, "POST", "/m2m/resources", `{"code": "book", "actions": {"x": ""}}`, "exists", "exists already", nil},
		"resource in use":                {409, "DELETE", "/m2m/resources/book", "", "in_use", "ci-bot", nil},
		"action in use":                  {409, "PATCH", "/m2m/resources/book", `{"actions": {"read": null}}`, "in_use", "ci-bot", nil},
		"another version":                {409, "PATCH", "/m2m/clients/ci-bot", `{"disabled": true}`, "version_conflict", "has changed in the meantime", []string{"If-Match", `"0123"`}},
		"another version to delete":      {409, "DELETE", "/m2m/clients/ci-bot", "", "version_conflict", "has changed in the meantime", []string{"If-Match", `"0123"`}},
		"a large body":                   {413, "POST", "/m2m/clients", `{"id": "` + strings.Repeat("x", 1<<20) + `"}`, "too_large", "1 MiB", nil},
		"a form":                         {415, "POST", "/m2m/clients", `id=new`, "unsupported_media_type", "application/json", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		"unknown query parameter":        {400, "GET", "/m2m/clients?perfix=a", "", "invalid", `"perfix"`, nil},
		"repeated query parameter":       {400, "GET", "/m2m/clients?prefix=a&prefix=b", "", "invalid", "repeated", nil},
		"limit of nothing":               {400, "GET", "/m2m/clients?limit=0", "", "invalid", "limit", nil},
		"force that is neither":          {400, "DELETE", "/m2m/clients/ci-bot/secrets/s1?force=yes", "", "invalid", "true or false", nil},
		"overlap that is none":           {400, "POST", "/m2m/clients/ci-bot/secrets/rotate", `{"overlap": "-1h"}`, "invalid", "must not be negative", nil},
		"secret that has expired":        {400, "POST", "/m2m/clients/ci-bot/secrets", `{"expires": "2020-01-01T00:00:00Z"}`, "invalid", "past", nil},
		"file with an unknown field":     {400, "POST", "/m2m/apply", `{"clients": {"x": {"token_tll": "5m"}}}`, "invalid", `registry.json:1:20: unknown field "token_tll"`, nil},
		"file that takes away an action": {409, "POST", "/m2m/apply", `{"resources": {"book": {"actions": {"edit": ""}}}}`, "in_use", `action "read" of "book"`, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w.t = t
			answer := w.want(c.status, c.method, c.path, c.body, c.headers...)
			if answer.field("error") != c.code || !strings.Contains(answer.field("message"), c.message) {
				t.Errorf("the answer is %s; it should be %s and say %q", answer.body, c.code, c.message)
			}
			if strings.Contains(string(answer.body), secret[:50]) {
				t.Errorf("the answer repeats a secret: %s", answer.body)
			}
		})
	}
	w.t = t
	if after := string(w.want(200, "GET", "/m2m/export", "").body); after != before {
		t.Errorf("the registry is now\n%s\nand was\n%s", after, before)
	}
}

// TestAPIIsBehindCaddysGuards sends requests that a web page could make a browser send.
func TestAPIIsBehindCaddysGuards(t *testing.T) {
	w := startAdmin(t)
	for _, header := range [][]string{{"Host", "evil.example.com"}, {"Origin", "http://evil.example.com"}, {"Origin", "null"}, {"Sec-Fetch-Mode", "no-cors"}} {
		answer := w.call("POST", "/m2m/clients", `{"id": "intruder"}`, header...)
		if answer.StatusCode != 403 && answer.StatusCode != 400 {
			t.Errorf("%v: %s %s", header, answer.Status, answer.body)
		}
	}
	w.want(404, "GET", "/m2m/clients/intruder", "")
}

// TestTwoAdministrators: of two administrators who read and then change a client, the second gets an error.
func TestTwoAdministrators(t *testing.T) {
	w := startAdmin(t)
	w.book()
	for round := range 10 {
		tag := w.want(200, "GET", "/m2m/clients/ci-bot", "").Header.Get("ETag")
		var mu sync.Mutex
		statuses := make(map[int]int)
		var done sync.WaitGroup
		for n := range 2 {
			done.Go(func() {
				answer := w.call("PATCH", "/m2m/clients/ci-bot", fmt.Sprintf(`{"description": "%d by %d"}`, round, n), "If-Match", tag)
				mu.Lock()
				defer mu.Unlock()
				statuses[answer.StatusCode]++
			})
		}
		done.Wait()
		if statuses[200] != 1 || statuses[409] != 1 {
			t.Fatalf("round %d: %v", round, statuses)
		}
	}
	answer := w.want(200, "GET", "/m2m/clients/ci-bot", "")
	w.want(304, "GET", "/m2m/clients/ci-bot", "", "If-None-Match", answer.Header.Get("ETag"))
}

func TestAPIPages(t *testing.T) {
	w := startAdmin(t)
	for _, id := range []string{"a/1", "a 2", "a-3", "b-1"} {
		status := 201
		if strings.Contains(id, " ") {
			status = 400
		}
		w.want(status, "POST", "/m2m/clients", `{"id": "`+id+`", "secret": false}`)
	}
	first := w.want(200, "GET", "/m2m/clients?prefix=a&limit=1", "")
	second := w.want(200, "GET", "/m2m/clients?prefix=a&limit=1&after="+first.field("next"), "")
	if first.field("clients", 0, "id") != "a-3" || second.field("clients", 0, "id") != "a/1" || second.field("next") != "<nil>" {
		t.Errorf("pages are %s and %s", first.body, second.body)
	}
	w.want(200, "GET", "/m2m/clients/a%2F1", "")
}

func TestApplyAndExportByAPI(t *testing.T) {
	w := startAdmin(t)
	secret := w.book()
	file := string(w.want(200, "GET", "/m2m/export?format=yaml", "").body)
	if !strings.Contains(file, registry.HashSecret(secret)) {
		t.Fatalf("the export lacks the hash:\n%s", file)
	}
	same := w.want(200, "POST", "/m2m/apply?prune=true", file, "Content-Type", "application/yaml")
	if same.field("changes") != "[]" {
		t.Errorf("applying what was exported changes %s", same.body)
	}
	w.want(204, "DELETE", "/m2m/clients/ci-bot", "")
	w.want(204, "DELETE", "/m2m/resources/book", "")
	dry := w.want(200, "POST", "/m2m/apply?dry_run=true", file, "Content-Type", "application/yaml")
	if dry.field("changes", 1, "action") != "create" || dry.field("changes", 1, "before") != "<nil>" || strings.Contains(string(dry.body), registry.HashSecret(secret)) {
		t.Errorf("a dry run answers %s", dry.body)
	}
	w.want(404, "GET", "/m2m/clients/ci-bot", "")
	w.want(200, "POST", "/m2m/apply", file, "Content-Type", "application/yaml")
	if again := string(w.want(200, "GET", "/m2m/export", "", "Accept", "application/yaml").body); again != file {
		t.Errorf("exported is\n%s\nand was\n%s", again, file)
	}
	if granted, _, _ := w.token("ci-bot", secret, "book:read"); granted != "book:read" {
		t.Errorf("the client of the file gets %q", granted)
	}
}

func TestAPIOfARegistryFile(t *testing.T) {
	path := servertest.WriteFile(t, t.TempDir(), "registry.yaml", "resources: {book: {actions: {read: ''}}}\nclients: {ci-bot: {grants: [{resource: book, identifiers: ['*'], actions: [read]}]}}\n")
	w := startAdmin(t, "registry file "+path)
	if got := w.want(200, "GET", "/m2m/clients", "").field("clients", 0, "id"); got != "ci-bot" {
		t.Errorf("the first client is %s", got)
	}
	w.want(200, "GET", "/m2m/resources/book", "")
	w.want(200, "GET", "/m2m/export", "")
	w.want(200, "GET", "/m2m/clients/ci-bot/secrets", "")
	planned := w.want(200, "POST", "/m2m/apply?dry_run=true&prune=true", `{"clients": {"new": {}}}`)
	if planned.field("changes", 0, "action") != "delete" || planned.field("changes", 1, "action") != "create" || planned.field("changes", 2, "id") != "ci-bot" {
		t.Errorf("planned is %s", planned.body)
	}
	if got := w.want(200, "GET", "/m2m/issuers", "").field("issuers", 0, "path"); got != path {
		t.Errorf("the path is %s", got)
	}
	for _, write := range [][3]string{
		{"POST", "/m2m/clients", `{"id": "new"}`}, {"DELETE", "/m2m/clients/ci-bot", ""}, {"POST", "/m2m/clients/ci-bot/disable", ""},
		{"POST", "/m2m/clients/ci-bot/secrets", ""}, {"POST", "/m2m/resources", `{"code": "x", "actions": {"y": ""}}`}, {"POST", "/m2m/apply", "{}"},
	} {
		answer := w.want(409, write[0], write[1], write[2])
		if answer.field("error") != "read_only" || !strings.Contains(answer.field("message"), path) {
			t.Errorf("%v: %s", write, answer.body)
		}
	}
}

// TestAPIWithoutStorage: while the disk is full, changes are refused and tokens are issued.
func TestAPIWithoutStorage(t *testing.T) {
	w := startAdmin(t)
	secret := w.book()
	w.token("ci-bot", secret, "book:read")
	w.FailStorage("Store")
	defer w.FailStorage("")
	answer := w.want(503, "POST", "/m2m/clients/ci-bot/disable", "")
	if answer.field("error") != "unavailable" || answer.Header.Get("Retry-After") == "" {
		t.Errorf("the answer is %s", answer.body)
	}
	if granted, _, failure := w.token("ci-bot", secret, "book:read"); granted != "book:read" {
		t.Errorf("tokens do not go on: %s", failure)
	}
	w.FailStorage("")
	w.want(200, "POST", "/m2m/clients/ci-bot/disable", "")
	if _, _, failure := w.token("ci-bot", secret, "book:read"); failure != "invalid_client" {
		t.Errorf("disabled, but %q", failure)
	}
}

func TestAPIWantsToKnowWhichIssuer(t *testing.T) {
	w := startAdmin(t, "}\nissuer http://localhost:9999/two {")
	if answer := w.want(400, "GET", "/m2m/clients", ""); answer.field("error") != "issuer_required" {
		t.Errorf("the answer is %s", answer.body)
	}
	w.want(201, "POST", "/m2m/clients?issuer=http://localhost:9999/two", `{"id": "ci-bot"}`)
	w.want(404, "GET", "/m2m/clients/ci-bot?issuer="+w.issuer, "")
	for path, issuers := range map[string]int{"/m2m/status": 2, "/m2m/status?issuer=" + w.issuer: 1} {
		status := w.want(200, "GET", path, "")
		if status.field("issuers", issuers-1, "issuer") == "<nil>" || status.field("issuers", issuers) != "<nil>" {
			t.Errorf("%s: %s", path, status.body)
		}
	}
	w.want(400, "GET", "/m2m/issuers?issuer="+w.issuer, "")
}

package registry

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// problemsOf returns the messages of an error, each with line and column but without the file.
func problemsOf(t testing.TB, file string, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, file+":") {
			t.Errorf("not a file's error: %q", line)
		}
	}
	return strings.Split(strings.ReplaceAll(err.Error(), file+":", ""), "\n")
}

const oneResource = `resources: {book: {actions: {read: Read, edit: Edit}}}` + "\n"

// inClient returns a file with one client, whose body begins on line 3.
func inClient(body string) string { return oneResource + "clients: {c: {\n" + body + "\n}}" }

func secretsOf(entries ...string) string {
	return inClient("secrets: [\n" + strings.Join(entries, ",\n") + "]")
}

const notCanonical = `3:41: an identifier: "%" is valid only in upper-case escapes such as %C3, and not of letters or digits`

func identifierOf(id, effect string) string {
	return inClient("grants: [{resource: book, identifiers: ['" + id + "'], actions: [read], effect: " + effect + "}]")
}

func TestParseRefuses(t *testing.T) {
	const how = `: a file holds no secret itself: "caddy m2m secret new" makes one, and the line for this file`
	for name, c := range map[string]struct{ data, want string }{
		"unknown section":       {"client: {}", `1:1: unknown field "client" in a registry file: did you mean "clients"?`},
		"unknown field far off": {"zebra: {}", `1:1: unknown field "zebra" in a registry file: known are clients, resources`},
		"not a mapping":         {"[1]", `1:1: a registry file must be a mapping, not a list`},
		"a text":                {"hello", `1:1: a registry file must be a mapping, not a string`},
		"clients a list":        {"clients: []", `1:10: clients must be a mapping, not a list`},
		"client null":           {"clients:\n  c:\n", `2:5: a client must be a mapping, not null`},
		"client a list":         {"clients:\n  c: []\n", `2:6: a client must be a mapping, not a list`},
		"number as a name":      {"clients: {404: {}}", `1:11: a name in clients must be a string: put it in quotes`},
		"list as a name":        {"? [a]\n: {}", `1:3: a name in a registry file must be a string: put it in quotes`},
		"duplicate section":     {"clients: {}\nclients: {}", `2:1: duplicate name "clients" in a registry file: it is first on line 1`},
		"duplicate client":      {"clients:\n  a: {}\n  b: {}\n  a: {}\n", `4:3: duplicate name "a" in clients: it is first on line 2`},
		"duplicate resource": {"resources:\n  a: {actions: {x: ''}}\n  a: {actions: {x: ''}}\n",
			`3:3: duplicate name "a" in resources: it is first on line 2`},
		"duplicate field": {inClient("disabled: true,\ndisabled: false"),
			`4:1: duplicate name "disabled" in a client: it is first on line 3`},
		"duplicate action": {"resources: {a: {actions: {x: '', x: ''}}}", `1:34: duplicate name "x" in actions: it is first on line 1`},

		"client id empty":     {`clients: {"": {}}`, `1:11: a client's id: empty`},
		"client id too long":  {"clients: {? " + strings.Repeat("a", 129) + ": {}}", `1:13: a client's id: longer than 128 bytes`},
		"client id userinfo":  {`clients: {"https://a:b@c": {}}`, `1:11: a client's id: a URI with a password or another credential is not allowed`},
		"client id parameter": {`clients: {"https://c/?token=x": {}}`, `1:11: a client's id: a URI with a password or another credential is not allowed`},
		"client id space":     {`clients: {"a b": {}}`, `1:11: a client's id: character 0x20 at byte 2 is not allowed`},
		"client id quote":     {`clients: {'a"': {}}`, `1:11: a client's id: character 0x22 at byte 2 is not allowed`},
		"client id backslash": {`clients: {'a\': {}}`, `1:11: a client's id: character 0x5c at byte 2 is not allowed`},
		"client id percent":   {`clients: {"%41": {}}`, `1:11: a client's id: character 0x25 at byte 1 is not allowed`},
		"client id control":   {`clients: {"a\n": {}}`, `1:11: a client's id: character 0x0a at byte 2 is not allowed`},
		"client id accent":    {`clients: {"é": {}}`, `1:11: a client's id: character 0xc3 at byte 1 is not allowed`},

		"misspelt field":       {inClient("descripton: x"), `3:1: unknown field "descripton" in a client: did you mean "description"?`},
		"field in other case":  {inClient("Disabled: true"), `3:1: unknown field "Disabled" in a client: did you mean "disabled"?`},
		"description a number": {inClient("description: 1"), `3:14: description must be a string, not a number`},
		"description null":     {inClient("description: null"), `3:14: description must be a string, not null`},
		"disabled a string":    {inClient("disabled: 'true'"), `3:11: disabled must be true or false, not a string`},
		"disabled yes":         {inClient("disabled: yes"), `3:11: disabled must be true or false, not a string`},
		"disabled empty":       {inClient("disabled: "), `4:1: disabled must be true or false, not null`},
		"ttl a number":         {inClient("token_ttl: 300"), `3:12: token_ttl must be a duration such as "5m"`},
		"ttl without a unit":   {inClient("token_ttl: '300'"), `3:12: token_ttl must be a duration such as "5m"`},
		"ttl zero":             {inClient("token_ttl: 0s"), `3:12: token_ttl must be more than 0 and at most 24h`},
		"ttl negative":         {inClient("token_ttl: -5m"), `3:12: token_ttl must be more than 0 and at most 24h`},
		"ttl over a day":       {inClient("token_ttl: 24h1s"), `3:12: token_ttl must be more than 0 and at most 24h`},
		"ttl of a fraction":    {inClient("token_ttl: 1500ms"), `3:12: token_ttl must be whole seconds`},
		"attributes a list":    {inClient("attributes: []"), `3:13: attributes must be a mapping, not a list`},
		"attribute repeated":   {inClient("attributes: {a: {b: 1, b: 2}}"), `3:24: duplicate name "b" in attributes: it is first on line 3`},
		"attribute octal":      {inClient("attributes: {zip: 01234}"), `3:19: a number in attributes must be a JSON number: write it as one, or put it in quotes`},
		"attribute infinite":   {inClient("attributes: {x: .inf}"), `3:17: a number in attributes must be a JSON number: write it as one, or put it in quotes`},
		"attribute too long":   {inClient("attributes: {x: 0." + strings.Repeat("1", 80) + "}"), `3:17: a number in attributes must be a JSON number: write it as one, or put it in quotes`},
		"attributes too deep":  {inClient("attributes: {x: " + strings.Repeat("[", 16) + strings.Repeat("]", 16) + "}"), `3:32: attributes are nested deeper than 16`},

		"secrets a mapping":      {inClient("secrets: {id: x}"), `3:10: secrets must be a list, not a mapping`},
		"secret a string":        {secretsOf("m2m_abc"), `4:1: a secret must be a mapping` + how},
		"secret without id":      {secretsOf(`{sha256: "` + hashOf(1) + `"}`), `4:1: a secret must have id`},
		"secret without hash":    {secretsOf(`{id: a}`), `4:1: a secret must have sha256`},
		"secret id malformed":    {secretsOf(`{id: "a b", sha256: "` + hashOf(1) + `"}`), `4:6: a secret's id: character 0x20 at byte 2 is not allowed`},
		"secret id repeated":     {secretsOf(`{id: a, sha256: "`+hashOf(1)+`"}`, `{id: a, sha256: "`+hashOf(2)+`"}`), `5:1: duplicate id among the secrets of a client`},
		"hash repeated":          {secretsOf(`{id: a, sha256: "`+hashOf(1)+`"}`, `{id: b, sha256: "`+hashOf(1)+`"}`), `5:1: duplicate sha256 among the secrets of a client`},
		"secret in plain":        {secretsOf(`{id: a, secret: m2m_abc}`), `4:1: a secret must have sha256` + "\n" + ` 4:9: unknown field "secret" in a secret` + how},
		"client_secret in plain": {inClient("client_secret: hunter2"), `3:1: unknown field "client_secret" in a client` + how},
		"SecretKey in plain":     {inClient("SecretKey: hunter2"), `3:1: unknown field "SecretKey" in a client` + how},
		"secret as hash":         {secretsOf(`{id: a, sha256: m2m_abc}`), `4:17: sha256 is a secret` + how},
		"hash in hex":            {secretsOf(`{id: a, sha256: "` + strings.Repeat("ab", 32) + `"}`), `4:17: sha256 must be in base64url, not in hex`},
		"hash too short":         {secretsOf(`{id: a, sha256: "` + hashOf(1)[:42] + `"}`), `4:17: sha256 must be 43 characters of base64url without padding`},
		"hash padded":            {secretsOf(`{id: a, sha256: "` + hashOf(1) + `="}`), `4:17: sha256 must be 43 characters of base64url without padding`},
		"hash in base64":         {secretsOf(`{id: a, sha256: "+/` + hashOf(1)[2:] + `"}`), `4:17: sha256 must be 43 characters of base64url without padding`},
		"hash not canonical":     {secretsOf(`{id: a, sha256: "` + hashOf(1)[:42] + `B"}`), `4:17: sha256 must be 43 characters of base64url without padding`},
		"hash with a newline":    {secretsOf(`{id: a, sha256: "` + hashOf(1) + `\n"}`), `4:17: sha256 must be 43 characters of base64url without padding`},
		"hash a number":          {secretsOf(`{id: a, sha256: 5}`), `4:17: sha256 must be a string, not a number`},
		"hash of zeros":          {secretsOf(`{id: a, sha256: "` + strings.Repeat("A", 43) + `"}`), `4:17: weak secret: the hash is all zeros`},
		"hash of nothing":        {secretsOf(`{id: a, sha256: "` + HashSecret("") + `"}`), `4:1: weak secret: the hash is that of an empty text`},
		"hash of the client id":  {secretsOf(`{id: a, sha256: "` + HashSecret("c") + `"}`), `4:1: weak secret: the hash is that of the client's own id`},
		"hash of a password":     {secretsOf(`{id: a, sha256: "` + HashSecret("changeme") + `"}`), `4:1: weak secret: the hash is that of a well-known password`},
		"expires a date":         {secretsOf(`{id: a, sha256: "` + hashOf(1) + `", expires: 2027-01-01}`), `4:73: expires must be a time as in RFC 3339, such as 2027-01-31T00:00:00Z`},
		"expires impossible":     {secretsOf(`{id: a, sha256: "` + hashOf(1) + `", expires: "2027-02-30T00:00:00Z"}`), `4:73: expires must be a time as in RFC 3339, such as 2027-01-31T00:00:00Z`},
		"expires null":           {secretsOf(`{id: a, sha256: "` + hashOf(1) + `", expires: null}`), `4:73: expires must be a time as in RFC 3339, such as 2027-01-31T00:00:00Z`},
		"expires at the zero time, which would be never": {secretsOf(`{id: a, sha256: "` + hashOf(1) + `", expires: "0001-01-01T00:00:00Z"}`), `4:73: expires must be a time as in RFC 3339, such as 2027-01-31T00:00:00Z`},

		"grant without fields":             {inClient("grants: [{}]"), "3:10: a grant must have resource\n 3:10: a grant must have identifiers\n 3:10: a grant must have actions"},
		"grant a string":                   {inClient("grants: ['book:*:read']"), `3:10: a grant must be a mapping, not a string`},
		"unknown resource":                 {inClient("grants: [{resource: boook, identifiers: ['*'], actions: [read]}]"), `3:21: unknown resource "boook": did you mean "book"?`},
		"unknown action":                   {inClient("grants: [{resource: book, identifiers: ['*'], actions: [read, edti]}]"), `3:63: unknown action "edti": did you mean "edit"?`},
		"actions before":                   {inClient("grants: [{actions: [erase], identifiers: ['*'], resource: book}]"), `3:21: unknown action "erase": known are edit, read`},
		"unknown action of any":            {inClient("grants: [{resource: '*', identifiers: ['*'], actions: [buy]}]"), `3:56: unknown action "buy": known are edit, read`},
		"action a prefix":                  {inClient("grants: [{resource: book, identifiers: ['*'], actions: ['re*']}]"), `3:57: unknown action "re*": did you mean "read"?`},
		"identifier inner star":            {inClient("grants: [{resource: book, identifiers: ['a*b'], actions: [read]}]"), `3:41: an identifier: "*" stands only at the end of an identifier`},
		"identifier empty":                 {inClient("grants: [{resource: book, identifiers: [''], actions: [read]}]"), `3:41: an identifier must not be empty`},
		"identifier space":                 {inClient("grants: [{resource: book, identifiers: ['a b'], actions: [read]}]"), `3:41: an identifier: character 0x20 at byte 2 is not allowed`},
		"identifier a number":              {inClient("grants: [{resource: book, identifiers: [1], actions: [read]}]"), `3:41: an identifier must be a string, not a number`},
		"identifier escaped in lower case": {identifierOf("caf%c3%a9", "allow"), notCanonical + `: write "caf%C3%A9"`},
		"identifier denied so":             {identifierOf("caf%c3%a9", "deny"), notCanonical + `: write "caf%C3%A9"`},
		"identifier escaped in part":       {identifierOf("caf%C3%a9", "deny"), notCanonical + `: write "caf%C3%A9"`},
		"identifier escaped needlessly":    {identifierOf("%61~%7E%3A%2f", "deny"), notCanonical + `: write "a~%7E%3A%2F"`},
		"identifier bare percent":          {identifierOf("100%", "deny"), notCanonical + `: write "100%25"`},
		"identifier percent at the end":    {identifierOf("a%2", "deny"), notCanonical + `: write "a%252"`},
		"identifier percent of no hex":     {identifierOf("a%zz", "deny"), notCanonical + `: write "a%25zz"`},
		"identifier percent twice":         {identifierOf("%%2a", "deny"), notCanonical + `: write "%25%2A"`},
		"prefix escaped in lower case":     {identifierOf("caf%c3*", "deny"), notCanonical + `: write "caf%C3*"`},
		"prefix cut in an escape":          {identifierOf("100%*", "allow"), notCanonical + `: write "100%25*"`},
		"identifier escaped and long":      {identifierOf(strings.Repeat("%aa", 50), "deny"), notCanonical},

		"identifiers a string": {inClient("grants: [{resource: book, identifiers: '*', actions: [read]}]"), `3:40: identifiers must be a list, not a string`},
		"identifiers none":     {inClient("grants: [{resource: book, identifiers: [], actions: [read]}]"), `3:40: identifiers must not be empty`},
		"actions none":         {inClient("grants: [{resource: book, identifiers: ['*'], actions: []}]"), `3:56: actions must not be empty`},
		"effect in capitals":   {inClient("grants: [{resource: book, identifiers: ['*'], actions: [read], effect: Deny}]"), `3:72: effect must be "allow" or "deny"`},
		"effect empty":         {inClient("grants: [{resource: book, identifiers: ['*'], actions: [read], effect: ''}]"), `3:72: effect must be "allow" or "deny"`},

		"resource code star":    {`resources: {"*": {actions: {a: ""}}}`, `1:13: a resource's code: "*" in resource`},
		"resource code colon":   {`resources: {"a:b": {actions: {a: ""}}}`, `1:13: a resource's code: ":" in resource`},
		"resource no actions":   {`resources: {a: {}}`, `1:16: a resource must have actions`},
		"resource zero actions": {`resources: {a: {actions: {}}}`, `1:26: a resource must have an action`},
		"actions a list":        {`resources: {a: {actions: [read]}}`, `1:26: actions must be a mapping, not a list`},
		"action star":           {`resources: {a: {actions: {"*": ""}}}`, `1:27: an action's name: "*" in action`},
		"action description":    {`resources: {a: {actions: {read}}}`, `1:31: an action's description must be a string, not null`},
		"audience relative":     {`resources: {a: {actions: {r: ""}, audience: /api}}`, `1:45: audience: must be an absolute URI`},
		"audience fragment":     {`resources: {a: {actions: {r: ""}, audience: "https://x.example.com/#a"}}`, `1:45: audience: must be a URI without a fragment`},
		"audience empty frag":   {`resources: {a: {actions: {r: ""}, audience: "https://x.example.com/#"}}`, `1:45: audience: must be a URI without a fragment`},
		"audience with a space": {`resources: {a: {actions: {r: ""}, audience: "https://x.example.com/a b"}}`, `1:45: audience: must be an absolute URI`},
		"audience scheme only":  {`resources: {a: {actions: {r: ""}, audience: "https:"}}`, `1:45: audience: must be an absolute URI`},
		"audience empty":        {`resources: {a: {actions: {r: ""}, audience: ""}}`, `1:45: audience: must be an absolute URI`},
		"audience long":         {`resources: {a: {actions: {r: ""}, audience: "urn:` + strings.Repeat("a", 600) + `"}}`, `1:45: audience: too long`},
		"default in a resource": {`resources: {a: {actions: {r: ""}, grants: []}}`, `1:35: unknown field "grants" in a resource: known are actions, attributes, audience, description`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("r.yaml", []byte(c.data))
			if got := strings.Join(problemsOf(t, "r.yaml", err), "\n "); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestGrantsTakeWildcards(t *testing.T) {
	s := mustParse(t, "r.yaml", inClient("grants: [{resource: '*', identifiers: ['*'], actions: ['*']}, {resource: book, identifiers: ['x*'], actions: [edit, '*']}]"))
	if c, err := s.Client(t.Context(), "c"); err != nil || len(c.Grants) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAtMostMaxSecrets(t *testing.T) {
	var entries []string
	for i := range MaxSecrets {
		entries = append(entries, fmt.Sprintf(`{id: s%d, sha256: "%s"}`, i, hashOf(i)))
	}
	mustParse(t, "r.yaml", secretsOf(entries...))
	_, err := Parse("r.yaml", []byte(secretsOf(append(entries, `{id: more, sha256: "`+hashOf(99)+`"}`)...)))
	if want := "r.yaml:24:1: a client may have 20 secrets at most"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestFirstProblemsInLineOrder(t *testing.T) {
	var file strings.Builder
	file.WriteString("clients:\n")
	for i := range 30 {
		fmt.Fprintf(&file, "  c%d: {disabled: 1}\n", i)
	}
	file.WriteString("resources:\n  a: []\n") // is decoded first and comes last
	_, err := Parse("r.yaml", []byte(file.String()))
	var first *FileError
	if !errors.As(err, &first) || first.Line != 2 || first.Column != 18 || first.File != "r.yaml" {
		t.Errorf("first problem %+v", first)
	}
	lines := strings.Split(err.Error(), "\n")
	for i := range maxReported {
		if want := fmt.Sprintf("r.yaml:%d:18: disabled must be true or false, not a number", i+2); lines[i] != want {
			t.Errorf("line %d: %s, want %s", i, lines[i], want)
		}
	}
	if want := "r.yaml: and 21 more problems"; len(lines) != maxReported+1 || lines[maxReported] != want {
		t.Errorf("last of %d: %s", len(lines), lines[len(lines)-1])
	}
}

func TestManyNamesAreCompared(t *testing.T) {
	var file strings.Builder
	file.WriteString(`{"clients":{`)
	for i := range 1000 {
		fmt.Fprintf(&file, "\"c%d\":{},\n", i)
	}
	file.WriteString(`"c500":{}}}`)
	_, err := Parse("r.json", []byte(file.String()))
	if want := `r.json:1001:1: duplicate name "c500" in clients: it is first on line 501`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestSecretsAreNeverRepeated puts a secret in each wrong place. It is refused, and no error repeats it.
func TestSecretsAreNeverRepeated(t *testing.T) {
	secret := NewSecret()
	for i, format := range []string{
		`%s: x`, `%s`, `[%s]`, `*%s`, `&%s a`, `!%s a`, `{%s`, `"\%s"`, `%s: 1: 2`, "a: &%[1]s b\nc: *%[1]s", "%%%s x\n---\n",
		`clients: {%s: {}}`, `clients: {%[1]s: {}, %[1]s: {}}`, `clients: {c: %s}`, `clients: {c: {%s: x}}`, `clients: {c: {description: %s}}`,
		`clients: {c: {attributes: {a: [{b: %s}]}}}`, `clients: {c: {attributes: {%s: 1}}}`, `clients: {c: {attributes: {%[1]s: 1, %[1]s: 1}}}`,
		`clients: {c: {token_ttl: %s}}`, `clients: {c: {disabled: %s}}`, `clients: {c: {secrets: %s}}`, `clients: {c: {secrets: {%s: 1}}}`,
		`clients: {c: {secrets: [%s]}}`, `clients: {c: {secrets: [{%s: 1}]}}`, `clients: {c: {secrets: [{id: %s}]}}`,
		`clients: {c: {secrets: [{sha256: %s}]}}`, `clients: {c: {secrets: [{expires: %s}]}}`, `clients: {c: {secrets: [{created: %s}]}}`, `clients: {c: {secrets: [{secret: %s}]}}`,
		`clients: {c: {secrets: [{value: %s}]}}`, `clients: {c: {client_secret: %s}}`,
		`clients: {c: {expires: %s}}`, `clients: {c: {networks: [%s]}}`, `clients: {c: {networks: ["%s/8"]}}`, `clients: {c: {audiences: ["urn:x", %s]}}`,
		`clients: {c: {audiences: ["urn:%[1]s", "urn:%[1]s"]}}`,
		`clients: {c: {grants: %s}}`, `clients: {c: {grants: [%s]}}`, `clients: {c: {grants: [{resource: %s}]}}`,
		`clients: {c: {grants: [{actions: [%s]}]}}`, `clients: {c: {grants: [{actions: %s}]}}`, `clients: {c: {grants: [{effect: %s}]}}`,
		`clients: {c: {grants: [{resource: "*", identifiers: [%s], actions: ["*"]}]}}`,
		`resources: {%s: {actions: {a: b}}}`, `resources: {r: {actions: {%s: b}}}`, `resources: {r: {actions: {a: %s}}}`,
		`resources: {r: {actions: {a: b}, audience: "urn:%[1]s"}, x: {}}`,
		`{"%s"}`, `{"%s":}`, `{"clients":{"%s":1,}}`, `{"clients":{"c":{"%s":{"secrets":[{"a":]}}}}`, `{"clients":{"c":{"%s":"\x"}}}`,
	} {
		data := []byte(fmt.Sprintf(format, secret))
		for _, name := range []string{"r.yaml", "r.json"} {
			_, err := Parse(name, data)
			if err == nil {
				t.Errorf("%d: %s is taken", i, format)
			} else if strings.Contains(err.Error(), secret[4:12]) {
				t.Errorf("%d: %s: the error repeats the secret", i, format)
			}
		}
	}
}

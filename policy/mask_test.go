package policy

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// logged is a line of the decision log.
func logged() map[string]any {
	return map[string]any{
		"decision_id": "D1",
		"input": map[string]any{
			"client": map[string]any{"id": "ci-bot", "attributes": map[string]any{"email": "someone@example.com", "a/b": 1, "c~d": 2}},
			"scopes": []any{map[string]any{"raw": "book:1:read"}, map[string]any{"raw": "book:2:read"}},
		},
		"result": map[string]any{"granted": []string{"book:1:read"}, "claims": map[string]any{"tenant": "acme"}},
	}
}

func TestMask(t *testing.T) {
	const untouched = `{"client":{"attributes":{"a/b":1,"c~d":2,"email":"someone@example.com"},"id":"ci-bot"},"scopes":[{"raw":"book:1:read"},{"raw":"book:2:read"}]}`
	for name, test := range map[string]struct {
		rules            string
		input, result    string // "" is untouched, "-" gone
		erased, replaced []string
	}{
		"a member": {
			rules: `mask contains "/input/client/attributes/email"`, erased: []string{"/input/client/attributes/email"},
			input: `{"client":{"attributes":{"a/b":1,"c~d":2},"id":"ci-bot"},"scopes":[{"raw":"book:1:read"},{"raw":"book:2:read"}]}`,
		},
		"on a condition": {
			rules: `mask contains "/input/client" if input.decision_id == "D2"`,
		},
		"escaped names": {
			rules:  "mask contains \"/input/client/attributes/a~1b\"\nmask contains \"/input/client/attributes/c~0d\"",
			erased: []string{"/input/client/attributes/a~1b", "/input/client/attributes/c~0d"},
			input:  `{"client":{"attributes":{"email":"someone@example.com"},"id":"ci-bot"},"scopes":[{"raw":"book:1:read"},{"raw":"book:2:read"}]}`,
		},
		"an element leaves a null": {
			rules: `mask contains "/input/scopes/0"`, erased: []string{"/input/scopes/0"},
			input: `{"client":{"attributes":{"a/b":1,"c~d":2,"email":"someone@example.com"},"id":"ci-bot"},"scopes":[null,{"raw":"book:2:read"}]}`,
		},
		"a claim of the result": {
			rules: `mask contains "/result/claims/tenant"`, erased: []string{"/result/claims/tenant"},
			result: `{"claims":{},"granted":["book:1:read"]}`,
		},
		"whole parts": {
			rules: "mask contains \"/input\"\nmask contains {\"op\": \"remove\", \"path\": \"/result\"}", erased: []string{"/input", "/result"},
			input: "-", result: "-",
		},
		"another value": {
			rules:    `mask contains {"op": "upsert", "path": "/input/scopes/1/raw", "value": crypto.sha256(input.input.scopes[1].raw)} if true`,
			replaced: []string{"/input/scopes/1/raw"},
			input:    `{"client":{"attributes":{"a/b":1,"c~d":2,"email":"someone@example.com"},"id":"ci-bot"},"scopes":[{"raw":"book:1:read"},{"raw":"95f724509dc09c8b1dd19dbf17ec3e4ed09339c75993639958449537e1d41ee5"}]}`,
		},
		"removed, and a part put back": {
			rules:  "mask contains {\"op\": \"upsert\", \"path\": \"/input/client/id\", \"value\": null}\nmask contains \"/input/client\"",
			erased: []string{"/input/client"}, replaced: []string{"/input/client/id"},
			input: `{"client":{"id":null},"scopes":[{"raw":"book:1:read"},{"raw":"book:2:read"}]}`,
		},
		"what is not there": {
			rules: `mask contains pointer if some pointer in ["/input/nobody", "/input/client/id/x", "/input/scopes/2", "/input/scopes/-", "/input/scopes/00", "/input/scopes/0/raw/x", "/result/granted/x", "/input/"]
mask contains {"op": "upsert", "path": pointer, "value": 1} if some pointer in ["/input/client/id/x", "/input/scopes/2", "/input/scopes/-/raw"]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := loadFiles(t, map[string]string{"a.rego": "package m2m.log\n\n" + test.rules + "\n"})
			if !e.Masks() {
				t.Error("the policy reports that it masks nothing")
			}
			event := logged()
			masked, err := e.Mask(t.Context(), event)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(masked.Erased, test.erased) || !slices.Equal(masked.Replaced, test.replaced) {
				t.Errorf("erased %q, replaced %q", masked.Erased, masked.Replaced)
			}
			for part, want := range map[string]string{"input": test.input, "result": test.result} {
				switch got, ok := masked.Event[part]; {
				case want == "-":
					if ok {
						t.Errorf("%s is there: %v", part, got)
					}
				case want == "":
					if asJSON(t, got) != asJSON(t, logged()[part]) {
						t.Errorf("%s is %s", part, asJSON(t, got))
					}
				case asJSON(t, got) != want:
					t.Errorf("%s is %s", part, asJSON(t, got))
				}
			}
			if asJSON(t, event["input"]) != untouched {
				t.Error("the event itself was changed")
			}
		})
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMaskOfNoRule(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	masked, err := e.Mask(t.Context(), logged())
	if err != nil || e.Masks() || masked.Erased != nil || masked.Replaced != nil || asJSON(t, masked.Event) != asJSON(t, logged()) {
		t.Errorf("got %+v, %v, masks %v", masked, err, e.Masks())
	}
}

// TestMaskFails: what the rule says wrong is an error, which does not quote what it may be about.
func TestMaskFails(t *testing.T) {
	for name, test := range map[string]struct {
		rule string
		kind Kind
		part string
	}{
		"a number":                {`mask contains 1`, WrongType, "mask ("},
		"no slash":                {`mask contains concat("/", ["input", input.input.client.attributes.email])`, WrongType, "a string that is not a JSON pointer"},
		"empty":                   {`mask contains ""`, WrongType, "JSON pointer"},
		"elsewhere":               {`mask contains "/decision_id"`, WrongType, "below /input or /result"},
		"a bad escape":            {`mask contains "/input/~2"`, WrongType, "JSON pointer"},
		"a tilde at the end":      {`mask contains "/input/~"`, WrongType, "JSON pointer"},
		"another operation":       {`mask contains {"op": "replace", "path": "/input/client", "value": 1}`, WrongType, "an object that is not a JSON pointer"},
		"no value":                {`mask contains {"op": "upsert", "path": "/input/client"}`, WrongType, "mask ("},
		"no path":                 {`mask contains {"op": "remove", "value": 1}`, WrongType, "mask ("},
		"too much":                {`mask contains {"op": "upsert", "path": "/input/client", "value": 1, "if": 1}`, WrongType, "mask ("},
		"a builtin that fails":    {`mask contains "/input" if to_number(input.input.client.attributes.email) > 3`, Eval, "a.rego:3: rule mask: evaluation failed"},
		"a pointer that is built": {`mask contains {"op": "upsert", "path": input.input.client.attributes.email, "value": 1}`, WrongType, "mask (a.rego:3)"},
	} {
		t.Run(name, func(t *testing.T) {
			e := loadFiles(t, map[string]string{"a.rego": "package m2m.log\n\n" + hidden(test.rule, test.kind) + "\n"})
			masked, err := e.Mask(t.Context(), logged())
			var fault *Error
			if !errors.As(err, &fault) || fault.Kind != test.kind || masked.Event != nil {
				t.Fatalf("got %+v, %v", masked, err)
			}
			if strings.Contains(err.Error(), "someone") || !strings.Contains(strings.ReplaceAll(err.Error(), e.cfg.Paths[0]+"/", ""), test.part) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestMaskOfACallerThatIsGone(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": "package m2m.log\n\nmask contains \"/input\"\n"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := e.Mask(ctx, logged())
	wantKind(t, err, Canceled, "")
}

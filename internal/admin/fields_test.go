package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestFieldsKeepTheFirstError: a handler reads all fields before it looks at the error.
func TestFieldsKeepTheFirstError(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"id": "x", "live": false, "names": ["a"]}`: "",
		`{"id": 1, "live": 2}`:                       "id must be a string",
		`{"id": null}`:                               "id must be a string",
		`{"live": "yes", "until": "never"}`:          "live must be true or false",
		`{"names": ["a", null]}`:                     "names must be a list of strings",
		`{"until": "2020-01-01T00:00:00Z"}`:          "until is in the past",
		`{"ID": "x"}`:                                `"ID"`,
		`{"id": "x", "id": "y"}`:                     `the name "id" is repeated`,
		`["id"]`:                                     "must be a JSON object",
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		a := &request{w: httptest.NewRecorder(), r: r}
		f := a.fields("a test", "id", "live", "names", "until")
		id, given := f.text("id")
		live := f.flag("live", true)
		names, _ := f.texts("names")
		f.future("until")
		switch {
		case want != "" && (f.err == nil || !strings.Contains(f.err.Error(), want)):
			t.Errorf("%s: %v, want %q", body, f.err, want)
		case want == "" && (f.err != nil || !given || id != "x" || live || len(names) != 1 || f.has("id")):
			t.Errorf("%s: %q, %t, %t, %q, %v", body, id, given, live, names, f.err)
		}
	}
}

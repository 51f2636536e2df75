package door

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
)

// TestFoldedLookUpThatIsSaved: where the routes are not asked again without regard to case, they would give the same answer.
func TestFoldedLookUpThatIsSaved(t *testing.T) {
	lower := []*Requirement{
		{Method: "GET", Path: "/books", Scopes: []string{"book:*:read"}}, {Path: "/books/{id}", Scopes: []string{"book:{id}:read"}},
		{Path: "/books/new", Scopes: []string{"book:*:edit"}}, {Path: "/docs/", Scopes: []string{"doc:*:read"}},
		{Path: "/files/{rest...}", Scopes: []string{"file:{rest}:read"}}, {Path: "/{$}", Scopes: []string{"home:*:read"}},
		{Method: "GET", Path: "/a%20b", Scopes: []string{"a:*:read"}}, {Path: "/slash/{x}", EncodedSlash: true, Scopes: []string{"x:{x}:read"}},
	}
	mixed := append([]*Requirement{{Path: "/Other", Scopes: []string{"other:*:read"}}}, lower...)
	saved := 0
	for name, rules := range map[string]*Routes{"lower": compile(t, lower...), "mixed": compile(t, mixed...)} {
		for _, path := range []string{
			"/", "/books", "/books/", "/books/7", "/books/new", "/Books/new", "/docs", "/docs/", "/docs/a/b", "/files/a/B", "/other", "/Other", "/a b", "/a%20b",
			"/slash/a%2Fb", "/slash/%61", "/none", "/é",
		} {
			for _, method := range []string{"GET", "PUT", "CONNECT"} {
				u, err := url.Parse("https://api.example.com" + strings.ReplaceAll(path, " ", "%20"))
				if err != nil {
					t.Fatal(err)
				}
				seen, found := rules.find(&http.Request{Method: method, Host: "api.example.com", URL: u, ProtoMajor: 1})
				folded := strings.ToLower(seen.URL.Path)
				if !rules.foldsToItself(seen, folded) {
					continue
				}
				saved++
				if name == "mixed" || method == "CONNECT" || folded != u.Path || httpguard.HasEncodedSlash(u) {
					t.Errorf("%s: %s %s is not looked up", name, method, path)
				}
				if got := rules.foldedRoute(seen, folded); got != found.route {
					t.Errorf("%s %s: got %+v, want %+v", method, path, got, found.route)
				}
			}
		}
	}
	if saved < 20 {
		t.Errorf("only %d are saved", saved)
	}
}

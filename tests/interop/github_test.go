package interop_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// githubClaims are the claims of a job's token, as GitHub documents them
// (https://docs.github.com/en/actions/reference/security/oidc#oidc-token-claims).
var githubClaims = map[string]any{
	"jti": "", "sub": "repo:acme@1234567/books@7654321:environment:production", "environment": "production",
	"ref": "refs/heads/main", "sha": "8b1a9953c4611296a827abf8c47804d7", "repository": "acme/books", "repository_owner": "acme",
	"actor_id": "12", "repository_visibility": "private", "repository_id": "7654321", "repository_owner_id": "1234567",
	"run_id": "30433642", "run_number": "10", "run_attempt": "2", "runner_environment": "github-hosted", "actor": "octocat",
	"workflow": "deploy", "head_ref": "", "base_ref": "", "event_name": "workflow_dispatch", "ref_type": "branch", "ref_protected": "true",
	"job_workflow_ref": "acme/books/.github/workflows/deploy.yml@refs/heads/main", "workflow_sha": "8b1a9953c4611296a827abf8c47804d7",
	"workflow_ref": "acme/books/.github/workflows/deploy.yml@refs/heads/main", "check_run_id": "55",
}

// TestGitHubActions runs the workflow of the recipe against an issuer that looks like GitHub's, then tokens of other jobs.
func TestGitHubActions(t *testing.T) {
	needPrograms(t, "curl", "jq")
	github := startPlatform(t, "", map[string]string{
		"/.well-known/openid-configuration": `{"issuer":"URL","jwks_uri":"URL/.well-known/jwks","subject_types_supported":["public","pairwise"],
			"response_types_supported":["id_token"],"id_token_signing_alg_values_supported":["RS256"],"scopes_supported":["openid"]}`,
		"/.well-known/jwks": "KEYS",
	})
	r := newRecipe(t, "## GitHub Actions",
		"trust https://token.actions.githubusercontent.com", fmt.Sprintf("trust %s {\n\t\t\t\tca %s\n\t\t\t}", github.URL, github.ca),
		"issuer: https://token.actions.githubusercontent.com", "issuer: "+github.URL)
	r.run()
	ids := 0
	job := func(audience string, changes map[string]any) string {
		ids++
		all := map[string]any{"iss": github.URL, "aud": audience, "jti": fmt.Sprintf("example-id-%d", ids)}
		for name, value := range changes {
			all[name] = value
		}
		return github.sign(map[string]any{"typ": "JWT", "x5t": "oMVWLf8IHd6VpuTnVXU9K3Fo9SA"}, githubClaims, all)
	}
	// The runner's endpoint for tokens.
	runner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Header.Get("Authorization") != "Bearer of-the-runner" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"count": 1, "value": job(request.URL.Query().Get("audience"), nil)})
	}))
	defer runner.Close()
	var workflow struct {
		Jobs map[string]struct{ Steps []struct{ Run string } }
	}
	if err := yaml.Unmarshal([]byte(r.block("yaml", 2)), &workflow); err != nil {
		t.Fatal(err)
	}
	output := r.shell(workflow.Jobs["deploy"].Steps[0].Run, "ACTIONS_ID_TOKEN_REQUEST_TOKEN=of-the-runner",
		"ACTIONS_ID_TOKEN_REQUEST_URL="+runner.URL+"/token?api-version=2.0", "RUNNER_TEMP="+t.TempDir())
	if !strings.Contains(output, "PUT /books/1 for books-deployer") {
		t.Errorf("the workflow prints %q", output)
	}

	tests := "repo:acme/books-tests:"
	for name, c := range map[string]struct {
		audience string
		changes  map[string]any
		client   string // "" if it is none
	}{
		"the environment":             {r.issuer(), nil, "books-deployer"},
		"a branch":                    {r.issuer(), map[string]any{"sub": tests + "ref:refs/heads/main"}, "books-tests"},
		"a tag":                       {r.issuer(), map[string]any{"sub": tests + "ref:refs/tags/v1.2"}, "books-tests"},
		"a tag on another runner":     {r.issuer(), map[string]any{"sub": tests + "ref:refs/tags/v1.2", "runner_environment": "self-hosted"}, ""},
		"another branch":              {r.issuer(), map[string]any{"sub": tests + "ref:refs/heads/main2"}, ""},
		"a pull request":              {r.issuer(), map[string]any{"sub": tests + "pull_request"}, ""},
		"another environment":         {r.issuer(), map[string]any{"sub": "repo:acme@1234567/books@7654321:environment:staging"}, ""},
		"a repository of the name":    {r.issuer(), map[string]any{"sub": "repo:acme@1234567/books@9999999:environment:production"}, ""},
		"the form without numbers":    {r.issuer(), map[string]any{"sub": "repo:acme/books:environment:production"}, ""},
		"letters of another case":     {r.issuer(), map[string]any{"sub": "repo:Acme@1234567/books@7654321:environment:production"}, ""},
		"GitHub's default audience":   {"https://github.com/acme", nil, ""},
		"the audience of the API":     {r.sites["https://api.example.com"], nil, ""},
		"expired":                     {r.issuer(), map[string]any{"exp": 1700000000}, ""},
		"for years":                   {r.issuer(), map[string]any{"exp": 4000000000}, ""},
		"an enterprise's own issuer":  {r.issuer(), map[string]any{"iss": github.URL + "/acme"}, ""},
		"a claim with the list twice": {r.issuer(), map[string]any{"aud": []string{r.issuer(), "https://other.example.com"}}, ""},
	} {
		assertion := job(c.audience, c.changes)
		status, body := r.exchange(jwtBearer, assertion)
		if (status == http.StatusOK) != (c.client != "") {
			t.Errorf("%s: %d %s", name, status, body)
			continue
		}
		if c.client != "" && !strings.HasSuffix(r.call(body), " for "+c.client) {
			t.Errorf("%s: the API sees %q", name, r.call(body))
		}
		if strings.Contains(r.Log(), assertion) {
			t.Errorf("%s: the log shows the assertion", name)
		}
	}
}

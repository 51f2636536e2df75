package caddymodule_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// adminWorld is a server with an empty registry in storage, and its admin endpoint. Every request and
// answer is held against docs/openapi.yaml.
type adminWorld struct {
	*servertest.Server
	t      testing.TB
	issuer string
	admin  string
}

const adminConfig = `{
	http_port 9
	m2m {
		issuer %s {
			%s
		}
	}
}
%s {
	m2m_issuer %s
}
`

// newAdmin returns a world whose server has yet to load its config.
func newAdmin(t testing.TB) *adminWorld {
	w := &adminWorld{Server: servertest.New(t), t: t, issuer: servertest.FreeURL(t), admin: servertest.FreeURL(t)}
	w.Admin = strings.TrimPrefix(w.admin, "http://")
	return w
}

func startAdmin(t testing.TB, options ...string) *adminWorld {
	t.Helper()
	w := newAdmin(t)
	if err := w.Load(w.config(options...)); err != nil {
		t.Fatalf("starting Caddy: %v", err)
	}
	return w
}

// config has a policy with a timeout for a busy machine, unless the options have a policy.
func (w *adminWorld) config(options ...string) string {
	if !slices.ContainsFunc(options, func(option string) bool { return strings.HasPrefix(strings.TrimSpace(option), "policy") }) {
		options = append(options, "policy {\ntimeout 20s\n}")
	}
	return fmt.Sprintf(adminConfig, w.issuer, strings.Join(options, "\n"), w.issuer, w.issuer)
}

// document is docs/openapi.yaml.
var document = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromFile("../docs/openapi.yaml")
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	doc.Servers = nil
	return gorillamux.NewRouter(doc)
})

// adminAnswer is what the API answered.
type adminAnswer struct {
	*http.Response
	body []byte
}

// field is a member of the answer, by its path; absent ones are "<nil>".
func (a adminAnswer) field(names ...any) string {
	var value any
	_ = json.Unmarshal(a.body, &value)
	for _, name := range names {
		switch n := name.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[n]
		case int:
			list, _ := value.([]any)
			if n >= len(list) {
				return "<nil>"
			}
			value = list[n]
		}
	}
	return fmt.Sprint(value)
}

// call makes a request; a body is JSON unless a header says otherwise. Headers are names and values in
// turn.
func (w *adminWorld) call(method, path, body string, headers ...string) adminAnswer {
	w.t.Helper()
	request, err := http.NewRequest(method, w.admin+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	answer := adminAnswer{response, []byte(servertest.Body(w.t, response))}
	w.holdAgainstDocument(request, body, answer)
	return answer
}

// want makes a request whose status is known.
func (w *adminWorld) want(status int, method, path, body string, headers ...string) adminAnswer {
	w.t.Helper()
	answer := w.call(method, path, body, headers...)
	if answer.StatusCode != status {
		w.t.Fatalf("%s %s: %s, want %d: %s", method, path, answer.Status, status, answer.body)
	}
	return answer
}

// holdAgainstDocument checks an answer of our routes, and the request if it was a good one.
func (w *adminWorld) holdAgainstDocument(request *http.Request, body string, answer adminAnswer) {
	w.t.Helper()
	if !strings.HasPrefix(request.URL.Path, "/m2m/") {
		return
	}
	router, err := document()
	if err != nil {
		w.t.Fatalf("docs/openapi.yaml: %v", err)
	}
	described := request.Clone(context.Background())
	described.URL = &url.URL{Path: request.URL.Path, RawPath: request.URL.RawPath, RawQuery: request.URL.RawQuery}
	described.Body = io.NopCloser(strings.NewReader(body))
	route, parameters, err := router.FindRoute(described)
	if err != nil {
		if answer.StatusCode < 400 {
			w.t.Errorf("docs/openapi.yaml has no %s %s", request.Method, request.URL.Path)
		}
		return
	}
	input := &openapi3filter.RequestValidationInput{Request: described, PathParams: parameters, Route: route}
	yaml := strings.Contains(request.Header.Get("Content-Type")+answer.Header.Get("Content-Type"), "yaml")
	if answer.StatusCode < 400 && !yaml {
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			w.t.Errorf("%s %s is not as in docs/openapi.yaml: %v", request.Method, request.URL.Path, err)
		}
	}
	if yaml || answer.Header.Get("Cache-Control") == "" {
		return // a file, or Caddy's own answer
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: answer.StatusCode, Header: answer.Header,
		Body: io.NopCloser(bytes.NewReader(answer.body)), Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		w.t.Errorf("the answer to %s %s is not as in docs/openapi.yaml: %v", request.Method, request.URL.Path, err)
	}
}

// token asks for a token, and returns the scopes that were granted and rejected, or the error.
func (w *adminWorld) token(client, secret, scope string) (granted, rejected, failure string) {
	w.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	request, err := http.NewRequest(http.MethodPost, w.issuer+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(client, secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	var answer struct {
		Scope    string `json:"scope"`
		Rejected string `json:"rejected_scope"`
		Error    string `json:"error"`
	}
	if err := json.Unmarshal([]byte(servertest.Body(w.t, response)), &answer); err != nil {
		w.t.Fatal(err)
	}
	return answer.Scope, answer.Rejected, answer.Error
}

// book makes the walkthrough's resource and client, and returns the secret.
func (w *adminWorld) book() (secret string) {
	w.t.Helper()
	w.want(201, "POST", "/m2m/resources", `{"code": "book", "description": "Books", "actions": {"read": "Read", "edit": "Edit"}}`)
	made := w.want(201, "POST", "/m2m/clients", `{"id": "ci-bot", "grants": [{"resource": "book", "identifiers": ["*"], "actions": ["read"]}]}`)
	return made.field("client_secret")
}

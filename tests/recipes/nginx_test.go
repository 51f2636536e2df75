package recipes_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// startNginx runs nginx with a part of an http block until the test ends, and returns its address.
func startNginx(t *testing.T, text string) string {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx"
		if _, err := os.Stat(nginx); err != nil {
			t.Skip("nginx is not installed: apt-get install nginx")
		}
	}
	dir := t.TempDir()
	port := servertest.FreePort(t)
	text = strings.Replace(text, "listen 8080;", fmt.Sprintf("listen 127.0.0.1:%d;", port), 1)
	config := servertest.WriteFile(t, dir, "nginx.conf", "daemon off;\nmaster_process off;\nuser root;\npid nginx.pid;\nerror_log error.log;\nevents {}\nhttp {\naccess_log off;\n"+
		"client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n"+text+"}\n")
	command := exec.Command(nginx, "-p", dir, "-c", config, "-e", dir+"/error.log")
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(dir + "/error.log")
			t.Logf("nginx: %s", log)
		}
	})
	address := fmt.Sprintf("127.0.0.1:%d", port)
	servertest.Eventually(t, "nginx listens", func() bool {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return connection.Close() == nil
	})
	return address
}

// raw sends a request exactly as it is written, and reads the answer.
func raw(t *testing.T, address, requestLine string, headers ...string) *answer {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	method, _, _ := strings.Cut(requestLine, " ")
	text := requestLine + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
	if _, err := io.WriteString(connection, text); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s: %v", requestLine, err)
	}
	return &answer{response, servertest.Body(t, response)}
}

// doorAddress gives the door of docs/forward-auth.md a free port.
func (r *recipe) doorAddress() (address string, replace func(string) string) {
	port := fmt.Sprint(servertest.FreePort(r.t))
	return "127.0.0.1:" + port, func(text string) string { return strings.ReplaceAll(text, ":9000", ":"+port) }
}

// TestNginx runs the configuration of nginx on the page, and checks that nginx forwards what the door has judged and nothing else.
func TestNginx(t *testing.T) {
	r := newRecipe(t)
	door, onPort := r.doorAddress()
	r.run(onPort(block(t, "forward-auth.md", "## The door", "caddyfile", 1)))
	nginx := startNginx(t, r.local(onPort(block(t, "forward-auth.md", "## nginx", "nginx", 1))))
	token := "Authorization: " + bearer(r.token("ci-bot", "book:1:read"))

	got := raw(t, nginx, "GET /books/1?x=%2F", token)
	got.expect(t, "a valid request", 200, "GET /books/1?x=%2F body=\n", "X-Client-Id: ci-bot", "X-Client-Scope: book:1:read")
	got.without(t, "a valid request", "Authorization")
	got = raw(t, nginx, "GET /books/1")
	got.expect(t, "no token", 401)
	if challenge := got.Header.Values("Www-Authenticate"); len(challenge) != 1 || !strings.HasPrefix(challenge[0], "Bearer") {
		t.Errorf("the challenge of a 401 is %q", challenge)
	}
	got = raw(t, nginx, "PUT /books/1", token, "Content-Length: 4", "", "text")
	got.expect(t, "the method", 403)
	if challenge := got.Header.Values("Www-Authenticate"); len(challenge) != 1 || !strings.Contains(challenge[0], `scope="book:1:edit"`) {
		t.Errorf("the challenge of a 403 is %q", challenge)
	}
	edit := "Authorization: " + bearer(r.token("editor", "book:1:edit"))
	raw(t, nginx, "PUT /books/1", edit, "Content-Length: 4", "", "text").expect(t, "a body", 200, "PUT /books/1 body=text\n")
	checkForwarded(t, nginx, token)
	trailer := "0\r\nX-Client-Id: admin\r\n"
	raw(t, nginx, "PUT /books/1", edit, "Transfer-Encoding: chunked", "Trailer: X-Client-Id", "", trailer).without(t, "a trailer", "admin")

	if err := r.Load("{\n\tadmin off\n}\n"); err != nil { // the door no longer listens
		t.Fatal(err)
	}
	if got = raw(t, nginx, "GET /books/1", token); got.expect(t, "without the door "+door, 503).Header.Get("Retry-After") != "5" {
		t.Errorf("header %v", got.Header)
	}
}

// otherReadings are requests by a client that may GET /books/1. Some upstreams take them for another request.
var otherReadings = []string{
	"GET /books/2", "GET /books/%32", "GET /books/1/../2", "GET /books/1/%2e%2e/2", "GET /books/1%2F..%2F2", "GET /books/1%2f..%2f2", "GET /x/../books/1",
	"GET //books/1", "GET /books//1", "GET /./books/1", "GET /books/./1", "GET /books/1;/../2", "GET /books/1;x", `GET /books/1\..\2`, "GET /books/1%5c..%5c2",
	"GET /books/%252e%252e/2", "GET /books/1%00", "GET /books/1%3f/2", "GET /books/1%23", "GET /books/1#/../2", "GET /BOOKS/1", "GET /books/1/", "GET /books/1?_method=DELETE",
	"get /books/1", "PUT /books/1", "DELETE /books/1", "POST /books/1", "OPTIONS /books/1", "GET /_m2m", "GET /", "GET /public/../books/1", "GET /books/\xff",
	"GET http://evil.example/books/2", "GET /.well-known/oauth-protected-resource", "GET /books/1%20/../2",
}

// foreignHeaders change a request at some upstreams, or name another one to some authorization servers.
var foreignHeaders = []string{
	"X-Original-URI: /books/1", "X-Original-URL: /books/1", "X-Original-Url: http://api.example.com/books/1", "X-Original-Method: GET", "X-Rewrite-URL: /books/2",
	"X-HTTP-Method-Override: DELETE", "X-Client-Id: admin", "X-Client-Scope: *", "X-Client!Id: admin",
	"X-Forwarded-Uri: /books/1", "X-Forwarded-Method: GET", "X-Forwarded-Uri: /books/2", "X-Forwarded-Method: DELETE", "Forwarded: host=evil.example", "X-Forwarded-Prefix: /admin",
}

// checkForwarded sends requests that the door must refuse, and others for which the upstream must see the bytes that were sent.
func checkForwarded(t *testing.T, proxy, token string) {
	t.Helper()
	for _, line := range otherReadings {
		if got := raw(t, proxy, line, token); got.StatusCode < 400 && got.body != "" {
			t.Errorf("%s is forwarded: %d %s", line, got.StatusCode, got.body)
		}
	}
	for _, header := range foreignHeaders {
		name, _, _ := strings.Cut(header, ":")
		got := raw(t, proxy, "GET /books/1", token, header)
		if name != "X-Client-Id" && name != "X-Client-Scope" && strings.Contains(strings.ToLower(got.body), "\n"+strings.ToLower(name)+":") || strings.Contains(got.body, ": admin") {
			t.Errorf("%s reaches the upstream: %s", header, got.body)
		}
	}
	for _, header := range foreignHeaders { // together with a request that the token does not cover
		if got := raw(t, proxy, "GET /books/2", token, header); got.StatusCode < 400 {
			t.Errorf("with %s, another request is judged: %d %s", header, got.StatusCode, got.body)
		}
	}
	for _, target := range []string{"/books/1", "/books/1?", "/books/1?a=b;c&d=%2F%2e%2e", "/books/%31"} {
		raw(t, proxy, "GET "+target, token).expect(t, target, 200, "GET "+target+" body=\n", "X-Client-Id: ci-bot")
	}
	raw(t, proxy, "HEAD /books/1", token).expect(t, "HEAD", 200)
	got := raw(t, proxy, "GET /books/1", token, "Connection: X-Client-Id, X-Client-Scope")
	got.expect(t, "Connection names identity headers", 200, "X-Client-Id: ci-bot", "X-Client-Scope: book:1:read")
	for _, name := range []string{"X_Client_Id", "X.Client.Id"} {
		raw(t, proxy, "GET /books/1", token, name+": admin").without(t, name, "admin")
	}
}

// ingressLocations asks the door with the headers that ingress-nginx sets for auth-url, and copies those of auth-response-headers.
const ingressLocations = `server {
	listen 8080;
	location / {
		auth_request /_external-auth;
		auth_request_set $authHeader0 $upstream_http_x_client_id;
		auth_request_set $authHeader1 $upstream_http_x_client_scope;
		proxy_set_header Host $http_host;
		proxy_set_header X-Client-Id $authHeader0;
		proxy_set_header X-Client-Scope $authHeader1;
		proxy_set_header X-Original-URL ""; # and below: the ConfigMap of the page
		proxy_set_header X-Original-Method "";
		proxy_set_header Authorization "";
		proxy_pass http://books:8080;
	}
	location = /_external-auth {
		internal;
		proxy_pass_request_body off;
		proxy_set_header Content-Length "";
		proxy_set_header X-Forwarded-Proto "";
		proxy_set_header Host door.m2m.svc.cluster.local;
		proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
		proxy_set_header X-Original-Method $request_method;
		proxy_set_header X-Sent-From "nginx-ingress-controller";
		proxy_set_header X-Real-IP $remote_addr;
		proxy_set_header X-Forwarded-For $remote_addr;
		proxy_set_header X-Auth-Request-Redirect $request_uri;
		proxy_pass http://127.0.0.1:9000/;
	}
}
`

// TestIngressNginx asks the door of the page as ingress-nginx does.
func TestIngressNginx(t *testing.T) {
	r := newRecipe(t)
	_, onPort := r.doorAddress()
	r.run(onPort(strings.Replace(block(t, "forward-auth.md", "## The door", "caddyfile", 1), "same_request", "x_original", 1)))
	nginx := startNginx(t, r.local(onPort(ingressLocations)))
	token := "Authorization: " + bearer(r.token("ci-bot", "book:1:read"))
	checkForwarded(t, nginx, token)
	edit := "Authorization: " + bearer(r.token("editor", "book:1:edit"))
	raw(t, nginx, "PUT /books/1", edit, "Content-Length: 4", "", "text").expect(t, "a body", 200, "PUT /books/1 body=text\n", "X-Client-Id: editor")
}

// TestCaddyForwardAuth runs both Caddyfiles of the page in one server.
func TestCaddyForwardAuth(t *testing.T) {
	r := newRecipe(t)
	_, onPort := r.doorAddress()
	r.run(onPort(block(t, "forward-auth.md", "## Caddy", "caddyfile", 1) + block(t, "forward-auth.md", "## Caddy", "caddyfile", 2)))
	front := strings.TrimPrefix(r.api, "http://")
	token := "Authorization: " + bearer(r.token("ci-bot", "book:1:read"))
	got := ask(t, "GET", r.api+"/books/1", "Authorization", bearer(r.token("ci-bot", "book:1:read")))
	got.expect(t, "a valid request", 200, "GET /books/1 body=\n", "X-Client-Id: ci-bot")
	got.without(t, "a valid request", "Authorization")
	got = ask(t, "PUT", r.api+"/books/1", "Authorization", bearer(r.token("ci-bot", "book:1:read")))
	got.expect(t, "the method", 403, `"reason":"insufficient_scope"`)
	if !strings.Contains(got.Header.Get("Www-Authenticate"), `scope="book:1:edit"`) {
		t.Errorf("header %v", got.Header)
	}
	ask(t, "GET", r.api+"/books/1").expect(t, "no token", 401)
	checkForwarded(t, front, token)
}

// TestCaddyEncodedSlash is TestNginxEncodedSlash for Caddy.
func TestCaddyEncodedSlash(t *testing.T) {
	r := newRecipe(t)
	_, onPort := r.doorAddress()
	door := strings.Replace(block(t, "forward-auth.md", "## Caddy", "caddyfile", 1), bookLine, bookLine+" {\n\t\t\tencoded_slash\n\t\t}", 1)
	r.run(onPort(door + block(t, "forward-auth.md", "## Caddy", "caddyfile", 2)))
	r.encodedSlash(strings.TrimPrefix(r.api, "http://"), 400)
}

const bookLine = "\t\trequire GET /books/{id} book:{id}:read"

// TestNginxEncodedSlash checks that nginx forwards the encoded slash that the door has judged.
func TestNginxEncodedSlash(t *testing.T) {
	r := newRecipe(t)
	_, onPort := r.doorAddress()
	r.run(onPort(strings.Replace(block(t, "forward-auth.md", "## The door", "caddyfile", 1), bookLine, bookLine+" {\n\t\t\tencoded_slash\n\t\t}", 1)))
	nginx := startNginx(t, r.local(onPort(block(t, "forward-auth.md", "## nginx", "nginx", 1))))
	r.encodedSlash(nginx, 403)
}

// encodedSlash asks a proxy for a book whose identifier has a slash. The proxy answers with the status if the path may be read in two ways.
func (r *recipe) encodedSlash(proxy string, twoWays int) {
	r.t.Helper()
	token := "Authorization: " + bearer(r.token("ci-bot", "book:group%2Fproj:read"))
	raw(r.t, proxy, "GET /books/group%2Fproj", token).expect(r.t, "an encoded slash", 200, "GET /books/group%2Fproj body=")
	for line, status := range map[string]int{
		"GET /books/group/proj": 403, "GET /books/other%2Fproj": 403, "GET /books/group%2f%2Fproj": 403, "GET /books/group%2F..%2Fproj": twoWays,
	} {
		raw(r.t, proxy, line, token).expect(r.t, line, status)
	}
}

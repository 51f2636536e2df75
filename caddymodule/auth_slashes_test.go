package caddymodule_test

import (
	"fmt"
	"strings"
	"testing"
)

const slashLines = `
	require GET /api/v4/projects/{id} project:{id}:read {
		encoded_slash
	}
	require GET /api/v4/projects/{id}/{rest...} project:{id}:read {
		encoded_slash
	}
	require GET /api/queues/%2F/{queue} queue:default:{queue}:read {
		encoded_slash
	}
	require GET /api/queues/{vhost}/{queue} queue:{vhost}:{queue}:read {
		encoded_slash
	}
	require GET /{package} package:{package}:install {
		encoded_slash
	}
	require GET /-/package/{package}/dist-tags package:{package}:install {
		encoded_slash
	}
	require PUT /api/v1/repositories/{repo} repository:{repo}:edit {
		encoded_slash
	}
	require GET /admin/users admin:*:use`

// TestEncodedSlashesAsData has requests of programs whose identifiers have slashes, and what each needs. The upstream must
// receive the very bytes.
func TestEncodedSlashesAsData(t *testing.T) {
	d := newDoor(t, slashLines)
	for request, need := range map[string]string{
		"GET /api/v4/projects/group%2Fproj":                                        "project:group%2Fproj:read", // GitLab
		"GET /api/v4/projects/group%2fsub%2Fproj?statistics=true":                  "project:group%2Fsub%2Fproj:read",
		"GET /api/v4/projects/group%2Fproj/repository/files/src%2Fmain.go/raw?x=/": "project:group%2Fproj:read",
		"GET /api/queues/%2F/orders":                                               "queue:default:orders:read", // RabbitMQ
		"GET /api/queues/%2f/orders%2Fnew":                                         "queue:default:orders%2Fnew:read",
		"GET /api/queues/%2Fstaging/orders":                                        "queue:%2Fstaging:orders:read",
		"GET /@scope%2Fname":                                                       "package:@scope%2Fname:install", // npm
		"GET /@scope%2fname":                                                       "package:@scope%2Fname:install",
		"GET /%40scope%2Fname":                                                     "package:@scope%2Fname:install",
		"GET /-/package/@scope%2Fname/dist-tags":                                   "package:@scope%2Fname:install",
		"GET /left-pad":                                                            "package:left-pad:install",
		"PUT /api/v1/repositories/https:%2F%2Fgit.example.com%2Fa%2Fb.git":         "repository:https:%2F%2Fgit.example.com%2Fa%2Fb.git:edit", // Argo CD
		"GET /admin/users":                                                         "admin:*:use",
	} {
		t.Run(request, func(t *testing.T) {
			ask := func(scopes string) answer {
				return d.askRaw(request + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + d.token(scopes) + "\r\n\r\n")
			}
			if got := ask(need); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			_, target, _ := strings.Cut(request, " ")
			if seen := d.upstream.taken(); len(seen) != 1 || seen[0].RequestURI != target {
				t.Errorf("the upstream gets %s", seen[0].RequestURI)
			}
			for _, other := range []string{strings.ReplaceAll(need, "%2F", "/"), strings.ReplaceAll(need, "%2F", "%2f"), strings.ReplaceAll(need, "%2F", "")} {
				if other == need {
					continue
				}
				if got := ask(other); got.status != 403 || !strings.Contains(got.challenge(), `scope="`+need+`"`) {
					t.Errorf("with %s: %d %s", other, got.status, got.challenge())
				}
			}
			d.upstream.taken()
		})
	}
	for _, target := range []string{
		"/admin%2Fusers", "/Admin%2fusers", "/admin%2F%2Fusers", "/%2Fadmin%2Fusers", "/admin/a%2Fb", "/@scope%2Fname/-/x.tgz",
		"/api/v4/projects/a%2F..%2Fb", "/api/v4/projects/..%2Fb", "/api/v4/projects/a%2F..", "/api/v4/projects/a%2F.%2Fb", "/api/v4/projects/a%2Fb/..", "/api/v4/projects/a%2Fb//c",
		"/api/v4/projects/a%252Fb", "/api/v4/projects/a%5Cb", "/api/v4/projects/a%2F;b", "/api/v4/projects/a%2F%00", "/api/v4/projects/a%2Fb%3Fc", "/api%2Fv4/projects/a", "/elsewhere/a%2Fb",
	} {
		got := d.askRaw("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + d.token("*") + "\r\n\r\n")
		if line := fmt.Sprint(got.status, " ", got.reason()); line != "400 ambiguous_path" || len(d.upstream.taken()) > 0 {
			t.Errorf("%s: %s %s", target, line, got.body)
		}
	}
}

// TestEncodedSlashesNeedTheOption on the line that the request matches.
func TestEncodedSlashesNeedTheOption(t *testing.T) {
	d := newDoor(t, "require GET /projects/{id} project:{id}:read\nrequire GET /packages/{id} package:{id}:read {\nencoded_slash\n}")
	for target, want := range map[string]string{
		"/projects/a%2Fb": "400 ambiguous_path", "/packages/a%2Fb": "200 ", "/packages/a/b": "403 no_rule", "/packages%2Fa": "400 ambiguous_path", "/x%2Fpackages/a": "400 ambiguous_path",
	} {
		got := d.askRaw("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + d.token("*") + "\r\n\r\n")
		if line := fmt.Sprint(got.status, " ", got.reason()); line != want {
			t.Errorf("%s: %s, want %s", target, line, want)
		}
	}
}

// TestConnectWithAnEncodedSlash: ServeMux does not clean the path of CONNECT. It must not look for the route of such a path.
func TestConnectWithAnEncodedSlash(t *testing.T) {
	d := newDoor(t, "require /{a}/{b} x:{a}/{b}:read {\nencoded_slash\n}")
	for _, target := range []string{"//a%2Fb", "//a%2Fb/", "/%2F/", "/a%2Fb//", "/a%2Fb/c", "/.%2F/b"} {
		got := d.askRaw("CONNECT " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + d.token("*") + "\r\n\r\n")
		if got.status != 400 || len(d.upstream.taken()) > 0 {
			t.Errorf("%s: %d %s", target, got.status, got.body)
		}
	}
	if log := d.Log(); strings.Contains(log, "panic") {
		t.Errorf("a handler panicked: %s", log)
	}
}

// TestPrefixOfEncodedSlashes: a grant for a group covers the projects in it, and no others.
func TestPrefixOfEncodedSlashes(t *testing.T) {
	d := newDoor(t, slashLines)
	token := d.token("project:group%2F*:read")
	for target, want := range map[string]int{
		"/api/v4/projects/group%2Fproj": 200, "/api/v4/projects/group%2Fsub%2Fproj/issues": 200, "/api/v4/projects/group": 403, "/api/v4/projects/groups%2Fproj": 403, "/api/v4/projects/group/proj": 403,
	} {
		if got := d.ask("GET", target, bearer(token)); got.status != want {
			t.Errorf("%s: %d %s", target, got.status, got.body)
		}
	}
}

package caddymodule_test

import (
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

const metadataDoor = "m2m_auth {\n\t\trequire GET /books book:*:read\n\t}\n"

// metadataSite is a site with this content, beside the one of the issuer.
func metadataSite(content string) string {
	return lintIssuer + "api.example.com {\n\t" + content + "}\n"
}

// TestMetadataThatIsNotServed: a challenge names a URL of the metadata that the config cannot serve, or the other way round.
func TestMetadataThatIsNotServed(t *testing.T) {
	s := servertest.New(t)
	registry := servertest.WriteFile(t, t.TempDir(), "registry.yaml", lintRegistry)
	for name, c := range map[string]struct{ caddyfile, want string }{
		"handle_path misses the metadata": {metadataSite("handle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"), "Caddyfile:13 the challenges of this m2m_auth name its metadata at https://api.example.com/.well-known/oauth-protected-resource, which it never gets: a matcher, handle or handle_path around it gives it other paths; add m2m_resource_metadata"},
		"a matcher misses the metadata":   {metadataSite("m2m_auth /v1/* {\n\t\taudience https://api.example.com/v1 https://auth.example.com\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:12 the challenges of this m2m_auth name its metadata at https://api.example.com/.well-known/oauth-protected-resource/v1, which it never gets"},
		"a handle misses the metadata":    {metadataSite("handle /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com/v1 https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n\thandle {\n\t\tfile_server\n\t}\n"), "Caddyfile:13 the challenges of this m2m_auth name its metadata"},
		"the metadata is on another site": {metadataSite("m2m_auth {\n\t\taudience https://www.example.com https://auth.example.com\n\t}\n\treverse_proxy up:1\n") + "www.example.com {\n\trespond hello\n}\n", "Caddyfile:12 the challenges of this m2m_auth name its metadata at https://www.example.com/.well-known/oauth-protected-resource, and the site of that host does not serve it"},
		"metadata of no door":             {metadataSite("m2m_resource_metadata https://other.example.com\n\t" + metadataDoor + "\treverse_proxy up:1\n"), "Caddyfile:12 m2m_resource_metadata serves nothing: no m2m_auth with metadata has https://other.example.com as its first audience"},
		"metadata of a door without it":   {metadataSite("m2m_resource_metadata\n\tm2m_auth {\n\t\tmetadata off\n\t}\n\treverse_proxy up:1\n"), "Caddyfile:12 m2m_resource_metadata serves nothing"},
		"metadata on another site":        {"api.example.com {\n\thandle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n}\nauth.example.com {\n\tm2m_issuer\n\tm2m_resource_metadata\n}\n", "Caddyfile:10 the challenges of this m2m_auth name its metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			warnings := warningsOf(t, s, strings.Replace(lintConfig, "REGISTRY", registry, 1)+c.caddyfile)
			if len(warnings) != 1 || !strings.Contains(warnings[0], c.want) {
				t.Errorf("warned of %q, want %q", warnings, c.want)
			}
		})
	}
}

// TestMetadataThatMayBeServed: no warning is about a document that something may serve.
func TestMetadataThatMayBeServed(t *testing.T) {
	s := servertest.New(t)
	registry := servertest.WriteFile(t, t.TempDir(), "registry.yaml", lintRegistry)
	for name, caddyfile := range map[string]string{
		"encoded slashes":             metadataSite("handle /queues/* {\n\t\tm2m_auth {\n\t\t\trequire GET /queues/%2F/{queue} book:{queue}:read {\n\t\t\t\tencoded_slash\n\t\t\t}\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"),
		"metadata in handle_path":     metadataSite("m2m_resource_metadata\n\thandle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"),
		"metadata by its name":        metadataSite("handle /.well-known/* {\n\t\tm2m_resource_metadata https://api.example.com/v1\n\t}\n\thandle /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com/v1 https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"),
		"metadata of the upstream":    metadataSite("handle /.well-known/* {\n\t\treverse_proxy up:1\n\t}\n\thandle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"),
		"metadata off":                metadataSite("handle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://api.example.com https://auth.example.com\n\t\t\tmetadata off\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"),
		"metadata of one door of two": metadataSite("m2m_auth /v1/* {\n\t\taudience https://api.example.com https://auth.example.com\n\t}\n\tm2m_auth /.well-known/oauth-protected-resource {\n\t\taudience https://api.example.com https://auth.example.com\n\t}\n\treverse_proxy up:1\n"),
		"a matcher with the metadata": metadataSite("@api path /v1/* /.well-known/oauth-protected-resource\n\tm2m_auth @api {\n\t\taudience https://api.example.com https://auth.example.com\n\t}\n\treverse_proxy up:1\n"),
		"a host of another server":    metadataSite("handle_path /v1/* {\n\t\tm2m_auth {\n\t\t\taudience https://public.example.com https://auth.example.com\n\t\t}\n\t\treverse_proxy up:1\n\t}\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if warnings := warningsOf(t, s, strings.Replace(lintConfig, "REGISTRY", registry, 1)+caddyfile); len(warnings) > 0 {
				t.Errorf("warned of %q", warnings)
			}
		})
	}
}

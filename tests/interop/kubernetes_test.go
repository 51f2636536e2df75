package interop_test

import (
	"net/http"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestKubernetes runs the script of the recipe with the tokens of an API server that has a CA of its own and gives its keys to those
// alone who show a token: without jti, as older versions of Kubernetes write them, and with it.
func TestKubernetes(t *testing.T) {
	needPrograms(t, "curl", "jq")
	const iss = "https://kubernetes.default.svc.cluster.local"
	cluster := startPlatform(t, "Bearer of-the-pod", map[string]string{"/openid/v1/jwks": "KEYS"})
	folder := t.TempDir()
	servertest.WriteFile(t, folder, "token", "of-the-pod\n")
	r := newRecipe(t, "## Kubernetes", "https://kubernetes.default.svc/", cluster.URL+"/",
		"/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", cluster.ca, "/var/run/secrets/kubernetes.io/serviceaccount/token", folder+"/token")
	r.run()

	// The pod's volume is that of the script, and its audience is the issuer.
	var pod struct {
		Metadata struct{ Namespace string }
		Spec     struct {
			ServiceAccountName string `yaml:"serviceAccountName"`
			Containers         []struct {
				VolumeMounts []struct {
					MountPath string `yaml:"mountPath"`
				} `yaml:"volumeMounts"`
			}
			Volumes []struct {
				Projected struct {
					Sources []struct {
						Token struct{ Audience, Path string } `yaml:"serviceAccountToken"`
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(servertest.Block(t, secretless, r.heading, "yaml", 2)), &pod); err != nil {
		t.Fatal(err)
	}
	source := pod.Spec.Volumes[0].Projected.Sources[0].Token
	mounted := pod.Spec.Containers[0].VolumeMounts[0].MountPath + "/" + source.Path
	if source.Audience != "https://auth.example.com" || !strings.Contains(servertest.Block(t, secretless, r.heading, "sh", 1), "@"+mounted) {
		t.Fatalf("the pod has a token for %s in %s", source.Audience, mounted)
	}

	account := func(namespace, name string) map[string]any {
		return map[string]any{
			"iss": iss, "aud": []string{r.issuer()}, "sub": "system:serviceaccount:" + namespace + ":" + name,
			"kubernetes.io": map[string]any{
				"namespace": namespace, "pod": map[string]any{"name": name + "-0", "uid": "0d8b260e-ef0e-45fb-be8e-ff44f97722e8"},
				"serviceaccount": map[string]any{"name": name, "uid": "e6a8680e-d103-4cce-80ea-03acbbeacf7d"},
			},
		}
	}
	header := map[string]any{"typ": nil} // Kubernetes writes none
	newer := map[string]any{"jti": "e51f1fbc-4733-4b85-a59f-ba80c0523874", "kubernetes.io": map[string]any{
		"namespace": "books", "node": map[string]any{"name": "worker-1", "uid": "517eb86e-b863-451b-bf70-86cb61439a3a"},
		"pod":            map[string]any{"name": "api-0", "uid": "0d8b260e-ef0e-45fb-be8e-ff44f97722e8"},
		"serviceaccount": map[string]any{"name": "api", "uid": "e6a8680e-d103-4cce-80ea-03acbbeacf7d"},
		"warnafter":      1900000000,
	}}
	for name, token := range map[string]string{
		"without jti": cluster.sign(header, account(pod.Metadata.Namespace, pod.Spec.ServiceAccountName), nil),
		"with jti":    cluster.sign(header, account(pod.Metadata.Namespace, pod.Spec.ServiceAccountName), newer),
	} {
		script := strings.ReplaceAll(r.block("sh", 1), mounted, servertest.WriteFile(t, t.TempDir(), "token", token))
		for range 2 { // a pod uses its token for an hour
			if got := r.call(r.shell(script)); got != "GET /books/2024-1 for books-api" {
				t.Errorf("%s: the API sees %q", name, got)
			}
		}
	}

	for name, c := range map[string]struct {
		claims, changes map[string]any
		client          string
	}{
		"any account of a namespace": {account("books-jobs", "nightly"), nil, "books-jobs"},
		"another namespace":          {account("default", "api"), nil, ""},
		"a namespace that begins so": {account("books-jobs2", "nightly"), nil, ""},
		"another account":            {account("books", "default"), nil, ""},
		"the API server's audience":  {account("books", "api"), map[string]any{"aud": []string{iss}}, ""},
		"two audiences":              {account("books", "api"), map[string]any{"aud": []string{iss, r.issuer()}}, ""},
		"a token of a secret":        {map[string]any{"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:books:api"}, map[string]any{"exp": nil, "iat": nil, "nbf": nil}, ""},
		"expired":                    {account("books", "api"), map[string]any{"exp": 1700000000}, ""},
		"for a year":                 {account("books", "api"), map[string]any{"exp": 4000000000}, ""},
	} {
		status, body := r.exchange(jwtBearer, cluster.sign(header, c.claims, c.changes))
		if (status == http.StatusOK) != (c.client != "") {
			t.Errorf("%s: %d %s", name, status, body)
		} else if c.client != "" && !strings.HasSuffix(r.call(body), " for "+c.client) {
			t.Errorf("%s: the API sees %q", name, r.call(body))
		}
	}
	if strings.Contains(r.Log(), "of-the-pod") {
		t.Error("the log shows the credential of the issuer")
	}
}

package clients_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// step is what a script of testdata/page.html gets.
type step struct {
	Status          int
	Challenge, Body string
	Error           string
}

// TestBrowserWithRecipe opens the page in Chromium, at an origin that the recipe of docs/recipes.md allows and at one that it does
// not allow.
func TestBrowserWithRecipe(t *testing.T) {
	needs(t, "chromium", "--version")
	settings := &pageSettings{Client: client, Secret: registry.NewSecret(), Issuer: servertest.FreeURL(t), API: servertest.FreeURL(t)}
	allowed, other := startPage(t, settings), startPage(t, settings)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // as some do; a second one would make the browser refuse the answer
		_, _ = w.Write([]byte("upstream"))
	}))
	t.Cleanup(upstream.Close)
	file := servertest.WriteFile(t, t.TempDir(), "registry.yaml", registryFile(settings.Secret))
	servertest.Start(t, strings.NewReplacer(
		"https://auth.example.com", settings.Issuer, "\nauth.example.com", "\n"+settings.Issuer,
		"https://api.example.com\n", settings.API+"\nregistry file "+file+"\n", "\napi.example.com", "\n"+settings.API,
		"https://app.example.com", allowed.URL, "books:8080", strings.TrimPrefix(upstream.URL, "http://"),
	).Replace(recipe(t, "## Web pages of another origin (CORS)")))

	public := map[string]int{"oauth metadata": 200, "openid metadata": 200, "keys": 200, "revocations": 200, "resource metadata": 200}
	t.Run("an allowed origin", func(t *testing.T) {
		got := allowed.open(t)
		got.check(t, public)
		got.check(t, map[string]int{"wrong secret": 401, "token": 200, "no token": 401, "read": 200, "edit": 403})
		if c := got["edit"].Challenge; !strings.Contains(c, `scope="book:1:edit"`) || !strings.HasPrefix(got["no token"].Challenge, "Bearer ") {
			t.Errorf("the challenges are %q and %q", c, got["no token"].Challenge)
		}
		if got["read"].Body != "upstream" {
			t.Errorf("the answer is %+v", got["read"])
		}
	})
	t.Run("another origin", func(t *testing.T) {
		got := other.open(t)
		got.check(t, public)
		for _, name := range []string{"wrong secret", "token", "no token", "read", "edit"} {
			if got[name].Error != "TypeError" { // how fetch fails if CORS does not allow
				t.Errorf("%s: %+v", name, got[name])
			}
		}
	})
}

// recipe returns the first Caddyfile below a heading of docs/recipes.md.
func recipe(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n"+heading+"\n")
	_, text, _ := strings.Cut(section, "\n```caddyfile plugin\n")
	text, _, found := strings.Cut(text, "\n```\n")
	if !found {
		t.Fatalf("docs/recipes.md has no Caddyfile below %q", heading)
	}
	return text + "\n"
}

type steps map[string]step

func (s steps) check(t *testing.T, want map[string]int) {
	t.Helper()
	for name, status := range want {
		if got := s[name]; got.Status != status {
			t.Errorf("%s: %+v, want %d", name, got, status)
		}
	}
}

// page serves testdata/page.html at an origin of its own, and takes its results.
type page struct {
	*httptest.Server
	results chan steps
}

type pageSettings struct {
	Issuer string `json:"issuer"`
	API    string `json:"api"`
	Client string `json:"client"`
	Secret string `json:"secret"`
}

func startPage(t *testing.T, settings *pageSettings) *page {
	p := &page{results: make(chan steps, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/page.html") })
	mux.HandleFunc("GET /settings", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(settings) })
	mux.HandleFunc("POST /results", func(_ http.ResponseWriter, r *http.Request) {
		var got steps
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		p.results <- got
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// open opens the page in Chromium and waits for its results.
func (p *page) open(t *testing.T) steps {
	t.Helper()
	profile, err := os.MkdirTemp("", "chromium-") // not of t, because the browser's processes may still write when they are killed
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(profile)
	command := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+profile, p.URL)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it starts further processes
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
	}()
	select {
	case got := <-p.results:
		return got
	case <-time.After(2 * time.Minute):
		t.Fatal("the page has no results")
	}
	return nil
}

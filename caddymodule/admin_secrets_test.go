package caddymodule_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

const ciBotSecrets = "/m2m/clients/ci-bot/secrets"

// works reports whether a secret gets a token.
func (w *adminWorld) works(secret string) bool {
	w.t.Helper()
	granted, _, failure := w.token("ci-bot", secret, "book:read")
	if failure != "" && failure != "invalid_client" {
		w.t.Errorf("whether a secret works is not known: %s", failure)
	}
	return granted == "book:read"
}

func TestAtMostTwoSecretsWork(t *testing.T) {
	w := startAdmin(t)
	first := w.book()
	second := w.want(201, "POST", ciBotSecrets, "").field("client_secret")
	if !w.works(first) || !w.works(second) {
		t.Error("one of two secrets does not work")
	}
	if answer := w.want(409, "POST", ciBotSecrets, ""); answer.field("error") != "too_many_secrets" {
		t.Errorf("the third: %s", answer.body)
	}
	list := w.want(200, "GET", ciBotSecrets, "")
	if list.field("secrets", 0, "id") != "s1" || list.field("secrets", 1, "id") != "s2" || list.field("secrets", 0, "live") != "true" {
		t.Errorf("the list is %s", list.body)
	}
}

func TestASecretInUseIsEndedByForceOnly(t *testing.T) {
	w := startAdmin(t)
	first := w.book()
	second := w.want(201, "POST", ciBotSecrets, "").field("client_secret")
	w.works(first)
	for _, try := range [][3]string{
		{"DELETE", ciBotSecrets + "/s1", ""}, {"POST", ciBotSecrets + "/rotate", ""}, {"POST", ciBotSecrets + "/rotate", `{"overlap": "0s"}`},
	} {
		answer := w.want(409, try[0], try[1], try[2])
		if answer.field("error") != "in_use" || !strings.Contains(answer.field("message"), "within the last hour") {
			t.Errorf("%v: %s", try, answer.body)
		}
	}
	w.want(204, "DELETE", ciBotSecrets+"/s2", "") // which was never used
	if !w.works(first) || w.works(second) {
		t.Error("the wrong secret has ended")
	}
	w.want(409, "POST", ciBotSecrets+"/rotate", `{"overlap": "0s"}`) // the only one, which is in use
	w.want(204, "DELETE", ciBotSecrets+"/s1?force=true", "")
	if w.works(first) {
		t.Error("a revoked secret works")
	}
	if id := w.want(201, "POST", ciBotSecrets, "").field("secret_id"); id == "s1" {
		t.Error("the ID of a secret that was used is given again")
	}
}

func TestLastUseOfASecretIsKept(t *testing.T) {
	w := startAdmin(t)
	secret := w.book()
	if got := w.want(200, "GET", ciBotSecrets, "").field("secrets", 0, "last_used"); got != "<nil>" {
		t.Errorf("before its first use it was used %s", got)
	}
	start := time.Now().UTC().Truncate(time.Minute)
	w.works(secret)
	w.works(registry.NewSecret())
	if err := w.Restart(w.config()); err != nil {
		t.Fatal(err)
	}
	client := w.want(200, "GET", "/m2m/clients/ci-bot", "")
	text, created := client.field("secrets", 0, "last_used"), client.field("secrets", 0, "created")
	used, err := time.Parse(time.RFC3339, text)
	if err != nil || used.Before(start) || used.After(time.Now()) || used.Second() != 0 && text != created {
		t.Errorf("after a restart it was used %v, %v; it was created %s", used, err, created)
	}
}

// TestRotationUnderLoad: while a client sends requests, its secret is rotated and the old one expires. Each secret works
// exactly as long as it should.
func TestRotationUnderLoad(t *testing.T) {
	w := startAdmin(t, "client_limits off")
	first := w.book()
	var current atomic.Value // the secret that the client has been given
	current.Store(first)
	stop := make(chan struct{})
	var requests atomic.Int64
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if secret := current.Load().(string); !w.works(secret) {
					t.Error("a request failed with the secret that the client was given")
					return
				}
				requests.Add(1)
			}
		})
	}
	second := w.want(201, "POST", ciBotSecrets+"/rotate", `{"overlap": "3s"}`)
	ends, err := time.Parse(time.RFC3339, second.field("old", 0, "expires"))
	if err != nil {
		t.Fatal(err)
	}
	current.Store(second.field("client_secret")) // within the overlap
	inTime := 0
	for {
		before := time.Now()
		works := w.works(first)
		after := time.Now()
		if after.Before(ends) && !works {
			t.Error("the old secret failed within the overlap")
		}
		if before.After(ends) && works {
			t.Error("the old secret passed after the overlap")
		}
		if works {
			inTime++
		}
		if before.After(ends.Add(200 * time.Millisecond)) {
			break
		}
	}
	third := w.want(201, "POST", ciBotSecrets+"/rotate", `{"overlap": "1h"}`).field("client_secret")
	current.Store(third)
	close(stop)
	done.Wait()
	if inTime == 0 || requests.Load() < 10 {
		t.Errorf("%d requests of the client, %d with the old secret within the overlap", requests.Load(), inTime)
	}
	if w.works(first) || !w.works(third) {
		t.Error("after it all the wrong secret works")
	}
}

// recorder is a handler of Caddy events that keeps them.
type recorder struct{}

var recorded struct {
	sync.Mutex
	events []map[string]any
}

func init() { caddy.RegisterModule(new(recorder)) }

func (*recorder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.recorder", New: func() caddy.Module { return new(recorder) }}
}

func (*recorder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }

func (*recorder) Handle(_ context.Context, e caddy.Event) error {
	recorded.Lock()
	defer recorded.Unlock()
	recorded.events = append(recorded.events, e.Data)
	return nil
}

// TestChangesAreAudited: each kind of change is in the audit log and is a Caddy event, without secrets and hashes.
func TestChangesAreAudited(t *testing.T) {
	recorded.events = nil
	w := startAdmin(t)
	if err := w.Load(strings.Replace(w.config(), "{\n", "{\n\tevents {\n\t\ton m2m_change recorder\n\t}\n", 1)); err != nil {
		t.Fatal(err)
	}
	hidden := []string{w.book()}
	hidden = append(hidden, w.want(201, "POST", ciBotSecrets+"/rotate", "").field("client_secret"))
	file := string(w.want(200, "GET", "/m2m/export", "").body)
	for _, change := range [][3]string{
		{"PATCH", "/m2m/clients/ci-bot", `{"description": "changed"}`},
		{"POST", "/m2m/clients/ci-bot/disable", ""}, {"POST", "/m2m/clients/ci-bot/disable", ""}, // the second changes nothing
		{"POST", "/m2m/clients/ci-bot/enable", ""}, {"POST", "/m2m/clients/ci-bot/grants", `{"scope": "book:1:edit"}`},
		{"DELETE", "/m2m/clients/ci-bot/grants?scope=book:1:edit", ""}, {"DELETE", ciBotSecrets + "/s1", ""},
		{"PATCH", "/m2m/resources/book", `{"description": "changed"}`}, {"POST", "/m2m/apply", file},
		{"DELETE", "/m2m/clients/ci-bot", ""}, {"DELETE", "/m2m/resources/book", ""},
	} {
		if answer := w.call(change[0], change[1], change[2]); answer.StatusCode >= 400 {
			t.Fatalf("%v: %s %s", change, answer.Status, answer.body)
		}
	}
	want := []string{
		"resource.create create book", "client.create create ci-bot", "secret.rotate update ci-bot", "client.update update ci-bot",
		"client.disable update ci-bot", "client.enable update ci-bot", "grant.add update ci-bot", "grant.remove update ci-bot",
		"secret.revoke update ci-bot", "resource.update update book", "apply update book", "apply update ci-bot",
		"client.delete delete ci-bot", "resource.delete delete book",
	}
	var logged, emitted []string
	for _, line := range w.LogLines("m2m.audit") {
		logged = append(logged, fmt.Sprint(line["operation"], " ", line["action"], " ", line["id"]))
		if actor, _ := line["actor"].(map[string]any); actor["kind"] != "socket" || !strings.HasPrefix(fmt.Sprint(actor["remote"]), "127.0.0.1:") {
			t.Errorf("the actor is %v", line["actor"])
		}
	}
	recorded.Lock()
	defer recorded.Unlock()
	for _, event := range recorded.events {
		emitted = append(emitted, fmt.Sprint(event["operation"], " ", event["action"], " ", event["id"]))
	}
	if !slices.Equal(logged, want) || !slices.Equal(emitted, want) {
		t.Errorf("logged are\n%s\nemitted\n%s\nand should be\n%s", strings.Join(logged, "\n"), strings.Join(emitted, "\n"), strings.Join(want, "\n"))
	}
	events, err := json.Marshal(recorded.events)
	if err != nil {
		t.Fatal(err)
	}
	config := w.call(http.MethodGet, "/config/", "")
	for _, secret := range hidden {
		for _, form := range []string{secret, registry.HashSecret(secret)} {
			for place, text := range map[string]string{"the log": w.Log(), "an event": string(events), "/config/": string(config.body)} {
				if strings.Contains(text, form) {
					t.Errorf("%s shows a secret or its hash", place)
				}
			}
		}
	}
}

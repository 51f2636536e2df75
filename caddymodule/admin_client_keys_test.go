package caddymodule_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestClientKeysAreAudited: the audit log says which public key a client got and lost, and never what was refused.
func TestClientKeysAreAudited(t *testing.T) {
	w := startAdmin(t)
	w.book()
	const public = `"kty": "EC", "crv": "P-256", "kid": "one", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"`
	const private = "hunter2hunter2hunter2hunter2hunter2hunter2h"
	for _, body := range []string{
		`{` + public + `, "d": "` + private + `"}`, `{"kty": "oct", "k": "` + private + `"}`, `{"keys": [{` + public + `, "d": "` + private + `"}]}`,
	} {
		if answer := w.want(400, "POST", "/m2m/clients/ci-bot/keys", body); strings.Contains(string(answer.body), private) {
			t.Errorf("the answer has the key: %s", answer.body)
		}
		w.want(400, "PATCH", "/m2m/clients/ci-bot", `{"jwks": {"keys": [`+body+`]}}`)
		w.want(400, "PATCH", "/m2m/clients/ci-bot", `{"jwks": `+body+`}`)
	}
	before := len(w.LogLines("m2m.audit"))
	w.want(201, "POST", "/m2m/clients/ci-bot/keys", `{`+public+`}`)
	w.want(204, "DELETE", "/m2m/clients/ci-bot/keys/one", "")
	var got []string
	for _, line := range w.LogLines("m2m.audit")[before:] {
		got = append(got, fmt.Sprintf("%v %v %v %v %v->%v", line["operation"], line["kind"], line["id"], line["action"], kidsIn(line["before"]), kidsIn(line["after"])))
	}
	want := []string{"key.add client ci-bot update []->[one]", "key.remove client ci-bot update [one]->[]"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the audit log has %v; want %v", got, want)
	}
	if strings.Contains(w.Log(), private) {
		t.Error("the log has a private key")
	}
}

// kidsIn returns the kids of the keys of a client in a line of the audit log.
func kidsIn(entry any) []any {
	kids := []any{}
	client, _ := entry.(map[string]any)
	keys, _ := client["keys"].([]any)
	for _, key := range keys {
		kids = append(kids, key.(map[string]any)["kid"])
	}
	return kids
}

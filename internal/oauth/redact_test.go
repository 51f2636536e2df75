package oauth

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestTokenRequestHidesItsSecret(t *testing.T) {
	request, err := ParseTokenRequest(nil, request(goodForm))
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for _, verb := range strings.Split("%v %+v %#v %s %q %x %d %T", " ") {
		fmt.Fprintf(&shown, verb+"|"+verb+"\n", request, *request)
		fmt.Fprintf(&shown, verb+"\n", struct{ R any }{request})
	}
	asJSON, _ := json.Marshal(map[string]any{"p": request, "v": *request})
	shown.Write(asJSON)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(handler).Info("request", "p", request, "v", *request)
	}
	for _, secret := range []string{"s3cret", fmt.Sprintf("%x", "s3cret"), fmt.Sprint([]byte("s3cret"))} {
		if strings.Contains(shown.String(), secret) {
			t.Errorf("shows %q in:\n%s", secret, &shown)
		}
	}
	if !strings.Contains(shown.String(), "ci-bot") {
		t.Errorf("shows nothing:\n%s", &shown)
	}
}

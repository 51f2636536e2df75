package oauth

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestTokenRequestHidesItsSecrets(t *testing.T) {
	for _, form := range []string{
		goodForm,
		"grant_type=client_credentials&client_id=ci-bot&client_assertion=s3cret&client_assertion_type=" + AssertionTypeJWT,
		"grant_type=" + GrantJWTBearer + "&client_id=ci-bot&assertion=s3cret",
		"grant_type=" + GrantTokenExchange + "&client_id=ci-bot&subject_token=s3cret&subject_token_type=a&actor_token=s3cret&actor_token_type=b",
	} {
		checkHidden(t, form)
	}
}

func checkHidden(t *testing.T, form string) {
	request, err := ParseTokenRequest(nil, request(form))
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for _, verb := range strings.Split("%v %+v %#v %s %q %x %d %T", " ") {
		fmt.Fprintf(&shown, verb+"|"+verb+"\n", request, *request)
		fmt.Fprintf(&shown, verb+"\n", struct{ R any }{request})
		fmt.Fprintf(&shown, verb+verb+"\n", request.Credentials, request.Exchange)
	}
	asJSON, _ := json.Marshal(map[string]any{"p": request, "v": *request, "c": request.Credentials, "e": request.Exchange})
	shown.Write(asJSON)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(handler).Info("request", "p", request, "v", *request, "c", request.Credentials, "e", request.Exchange)
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

package oauth

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestBasicRefuses(t *testing.T) {
	cases := map[string]string{
		"no credentials":   "Basic",
		"not base64":       "Basic ***",
		"unpadded":         "Basic Y2ktYm90OnMzY3JldA",
		"url alphabet":     "Basic Pz8_Oj8_Pz8=",
		"unused bits":      "Basic Y2ktYm90OnMzY3JldB==",
		"line break":       "Basic Y2kt\r\nYm90OnMzY3JldA==",
		"trailing":         "Basic Y2ktYm90OnMzY3JldA== x",
		"no colon":         basicRaw("ci-bot"),
		"empty id":         basicRaw(":secret"),
		"empty secret":     basicRaw("ci-bot:"),
		"bad percent":      basicRaw("ci-bot:%zz"),
		"bad percent id":   basicRaw("ci%:secret"),
		"control":          basicRaw("ci%0abot:a"),
		"NUL":              basicRaw("ci%00bot:a"),
		"raw NUL":          basicRaw("ci\x00bot:a"),
		"not UTF-8":        basicRaw("ci\xff:a"),
		"too long":         basicRaw("ci-bot:" + strings.Repeat("a", 4096)),
		"glued scheme":     "BasicY2ktYm90OnMzY3JldA==",
		"long s in scheme": "Baſic Y2ktYm90OnMzY3JldA==",
	}
	for name, authorization := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := basicAuth(authorization, "")
			if err == nil || err.Status != 401 || err.Code != CodeInvalidClient {
				t.Errorf("got %v", err)
			}
		})
	}
}

// basicRaw leaves out the form encoding.
func basicRaw(pair string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

func TestBasicAcceptsLongestCredentials(t *testing.T) {
	id, secret := strings.Repeat("%", maxClientID), strings.Repeat("&", maxClientSecret)
	c, err := basicAuth(basic(id, secret), "")
	if err != nil || c.ClientID != id || c.Secret != secret {
		t.Errorf("got %v", err)
	}
}

// What no client can have is answered as what no client has, byte for byte.
func TestImpossibleCredentialsLookWrong(t *testing.T) {
	var wrong bytes.Buffer
	w := httptest.NewRecorder()
	InvalidClient().Write(w)
	fmt.Fprint(&wrong, w.Code, w.Header(), w.Body)
	for _, r := range []*http.Request{
		request("grant_type=client_credentials&client_id=a%09&client_secret=b"),
		request("grant_type=client_credentials&client_id=a%7f&client_secret=b"),
		request("grant_type=client_credentials", "Authorization", basic("a\t", "b")),
		request("grant_type=client_credentials&client_id=a&client_secret=" + strings.Repeat("b", 513)),
		request("grant_type=client_credentials", "Authorization", basic(strings.Repeat("a", 257), "b")),
	} {
		_, err := ParseTokenRequest(nil, r)
		w := httptest.NewRecorder()
		err.Write(w)
		if got := fmt.Sprint(w.Code, w.Header(), w.Body); got != wrong.String() {
			t.Errorf("got %s, want %s", got, &wrong)
		}
	}
}

package oauth

import (
	"net/http"
	"strings"
	"testing"
)

func BenchmarkParseTokenRequest(b *testing.B) {
	const grant = "grant_type=client_credentials&scope=book:*:read+book:*:edit"
	const asJSON = `{"grant_type":"client_credentials","client_id":"ci-bot","client_secret":"s3cret","scope":"book:*:read book:*:edit"}`
	cases := map[string]struct {
		body    string
		headers []string
	}{
		"form-post":  {goodForm, nil},
		"form-basic": {grant, []string{"Authorization", basic("ci-bot", "s3cret")}},
		"json-post":  {asJSON, []string{"Content-Type", typeJSON}},
	}
	for name, c := range cases {
		b.Run(name, func(b *testing.B) {
			r := request(c.body, c.headers...)
			reader := strings.NewReader(c.body)
			b.ReportAllocs()
			for b.Loop() {
				reader.Reset(c.body)
				r.Body = noClose{reader}
				if _, err := ParseTokenRequest(nil, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type noClose struct{ *strings.Reader }

func (noClose) Close() error { return nil }

func BenchmarkAccessToken(b *testing.B) {
	r, _ := http.NewRequest(http.MethodGet, "https://api.example.com/books?page=2", nil)
	r.Header.Set("Authorization", "Bearer "+strings.Repeat("aB3_-", 100)+"."+strings.Repeat("xY9", 30)+".c2ln")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, refused := AccessToken(r); refused != nil {
			b.Fatal(refused)
		}
	}
}

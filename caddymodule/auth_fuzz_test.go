package caddymodule_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzDoor sends any request that net/http reads. TOKEN stands for a good token of book:1:read. The request passes only with
// that token, for that book, as that client, or to the public route, as no client.
func FuzzDoor(f *testing.F) {
	d := newDoorSite(f, doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\nrequire GET /books/{id} book:{id}:read\nrequire GET /files/{rest...} book:{rest}:read\npublic GET /public/{x}\n}\n"+
		"respond `{http.request.uri.path}|{http.request.header.X-Client-Id}|{http.request.header.Authorization}`"))
	token, handler := d.token("book:1:read"), d.Handler()
	for _, seed := range []string{
		"GET /books/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"GET /books/2 HTTP/1.1\r\nHost: x\r\nAuthorization: bearer TOKEN\r\nX-Client-Id: admin\r\n\r\n",
		"HEAD /files/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\nx_client_id: admin\r\nConnection: X-Client-Id\r\n\r\n",
		"GET /books/1?access_token=TOKEN HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /books/%2e%2e/1 HTTP/1.0\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\n\r\n",
		"GET /public/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\nx_client_id: admin\r\nConnection: X-Client-Id\r\n\r\n",
		"GET /public/..;/books/1 HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /books/1 HTTP/1.1\r\nHost: x\r\nTrailer: X-Client-Id\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer TOKEN\r\n\r\n0\r\nX-Client-Id: a\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "TOKEN", token))))
		if err != nil {
			return
		}
		request.RemoteAddr = "192.0.2.1:1234"
		authorization := request.Header.Get("Authorization")
		metadata := request.URL.Path == "/.well-known/oauth-protected-resource"
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		switch body := response.Body.String(); response.Code {
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
			if strings.Contains(body, token) {
				t.Fatalf("repeats the token: %s", body)
			}
		case http.StatusOK:
			through := strings.HasSuffix(authorization, token) && (body == "/books/1|demo|" || body == "/files/1|demo|" || body == "" && request.Method == http.MethodHead)
			name, public := strings.CutPrefix(strings.TrimSuffix(body, "||"), "/public/")
			public = public && strings.HasSuffix(body, "||") && name != "" && !strings.Contains(name, "/") || body == "" && request.Method == http.MethodHead && strings.HasPrefix(request.URL.Path, "/public/")
			if !metadata && !through && !public {
				t.Fatalf("%q goes through: %s", text, body)
			}
		default:
			if !metadata || response.Code >= 500 {
				t.Fatalf("%q: %d %s", text, response.Code, body)
			}
		}
	})
}

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// elsewhere is an issuer in another process than the server: in that of the load generator.
type elsewhere struct {
	URL      string
	audience string
	key      *token.SigningKey
}

func startElsewhere(audience string) (*elsewhere, error) {
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &elsewhere{URL: "http://" + listener.Addr().String(), audience: audience, key: key}
	go func() { _ = http.Serve(listener, e) }()
	return e, nil
}

// ServeHTTP serves the metadata (RFC 8414) and the keys.
func (e *elsewhere) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": e.URL, "jwks_uri": e.URL + "/jwks", "token_endpoint": e.URL + "/token", "response_types_supported": []string{},
		})
	case "/jwks":
		w.Header().Set("Cache-Control", "max-age=3600")
		_, _ = w.Write(token.NewKeySet(e.key).JWKS())
	default:
		http.NotFound(w, r)
	}
}

// token returns a new access token.
func (e *elsewhere) token() (string, error) {
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"iss": e.URL, "sub": demo(0), "client_id": demo(0), "aud": e.audience, "jti": token.NewID(), "scope": twoScopes,
		"iat": now, "exp": now + 600,
	})
	if err != nil {
		return "", err
	}
	return e.key.SignAs(token.AccessTokenType, claims)
}

// startUpstream runs what the proxies forward to. It takes each request to be without a body, and answers at once.
func startUpstream() (address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	return listener.Addr().String(), nil
}

func answer(c net.Conn) {
	defer c.Close()
	for reader := bufio.NewReader(c); ; {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) > len("\r\n") {
			continue
		}
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
	}
}

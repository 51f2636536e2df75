package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
)

const twoScopes = "book:*:read book:*:edit"

// tokenForm asks for a token.
func (f *fixture) tokenForm(client, scope string) string {
	return url.Values{
		"grant_type": {"client_credentials"}, "scope": {scope}, "client_id": {client}, "client_secret": {f.secret},
	}.Encode()
}

// always sends the same request.
func always(request func() []byte) source {
	return source{make: func(int) ([][]byte, error) { return [][]byte{request()}, nil }}
}

// tokensOf asks for tokens for that many clients in turn.
func (f *fixture) tokensOf(address func() string, path string, clients int) source {
	return source{make: func(int) ([][]byte, error) {
		requests := make([][]byte, clients)
		for i := range requests {
			requests[i] = rawPost(address(), path, f.tokenForm(demo(i), twoScopes))
		}
		return requests, nil
	}}
}

// otherScopes asks for scopes of the last grant that no request has asked for before.
func (f *fixture) otherScopes(address func() string, client string, scopes int) source {
	return source{once: true, make: func(n int) ([][]byte, error) {
		requests := make([][]byte, n)
		for i := range requests {
			asked := make([]string, scopes)
			for j := range asked {
				asked[j] = fmt.Sprintf("book:%x:read", rand.Uint64())
			}
			requests[i] = rawPost(address(), tokenPath, f.tokenForm(client, strings.Join(asked, " ")))
		}
		return requests, nil
	}}
}

const tokenPath = "/oauth2/token"

// mint has the issuer of a server mint tokens, over several connections.
func (s *server) mint(n int) ([]string, error) {
	var (
		tokens  = make([]string, n)
		group   sync.WaitGroup
		minters = min(n, 16)
		failed  = make(chan error, minters)
	)
	for first := range minters {
		group.Go(func() {
			c := &conn{address: s.site("token")}
			defer c.hangUp()
			for i := first; i < n; i += minters {
				status, err := c.do(rawPost(c.address, tokenPath, s.fixture.tokenForm(demo(i%demoClients), twoScopes)))
				if err == nil {
					tokens[i], err = accessToken(status, c.body.Bytes())
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return nil, fmt.Errorf("minting tokens: %w", err)
	default:
		return tokens, nil
	}
}

func accessToken(status int, body []byte) (string, error) {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		return "", fmt.Errorf("status %d: %s", status, body)
	}
	return answer.AccessToken, nil
}

// reused is one token of the server, sent again and again to a site.
func (s *server) reused(site string) source {
	return source{make: func(int) ([][]byte, error) {
		tokens, err := s.mint(1)
		if err != nil {
			return nil, err
		}
		return [][]byte{rawGet(s.site(site), tokens[0])}, nil
	}}
}

// freshlyMinted are tokens that the server has just minted.
func (s *server) freshlyMinted() source {
	return source{once: true, make: func(n int) ([][]byte, error) {
		tokens, err := s.mint(n)
		requests := make([][]byte, len(tokens))
		for i, token := range tokens {
			requests[i] = rawGet(s.site("door"), token)
		}
		return requests, err
	}}
}

// mintedElsewhere are tokens that the server has not seen before.
func (s *server) mintedElsewhere() source {
	return source{once: true, make: func(n int) ([][]byte, error) {
		requests := make([][]byte, n)
		for i := range requests {
			token, err := s.fixture.Elsewhere.token()
			if err != nil {
				return nil, err
			}
			requests[i] = rawGet(s.site("door-elsewhere"), token)
		}
		return requests, nil
	}}
}

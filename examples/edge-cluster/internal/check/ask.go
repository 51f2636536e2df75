package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// An answer is a response whose body has been read.
type answer struct {
	status     int
	retryAfter string
	body       string
}

func (a answer) String() string { return fmt.Sprintf("%d %.300s", a.status, strings.TrimSpace(a.body)) }

// unavailable reports whether the answer is the 503 for a request that needs the storage.
func (a answer) unavailable() bool { return a.status == 503 && a.retryAfter != "" }

var httpClient = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 50}}

func ask(method, address, body string, header ...string) (answer, error) {
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := httpClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header.Get("Retry-After"), string(content)}, err
}

func mustAsk(method, address, body string, header ...string) answer {
	a, err := ask(method, address, body, header...)
	if err != nil {
		log.Fatal(err)
	}
	return a
}

// create makes a client with the admin API of a node.
func (n node) create(id string) (client, answer) {
	body := fmt.Sprintf(`{"id": %q, "grants": [{"resource": "book", "identifiers": ["*"], "actions": ["read"]}]}`, id)
	a := mustAsk("POST", "http://"+n.admin+"/m2m/clients", body, "Content-Type", "application/json")
	var made struct {
		Secret string `json:"client_secret"`
	}
	_ = json.Unmarshal([]byte(a.body), &made)
	return client{id, made.Secret}, a
}

// mustCreate makes several clients.
func (n node) mustCreate(name string, count int) []client {
	all := make([]client, count)
	for i := range all {
		made, a := n.create(fmt.Sprintf("%s-%d", name, i))
		want(a.status == 201 && made.secret != "", "creating a client at %s: %s", n.name, a)
		all[i] = made
	}
	return all
}

// A client asks for tokens.
type client struct{ id, secret string }

func (c client) post(at, endpoint string, form url.Values) (answer, error) {
	form.Set("client_id", c.id)
	form.Set("client_secret", c.secret)
	return ask("POST", at+"/oauth2/"+endpoint, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func (c client) token(at string) (answer, error) {
	return c.post(at, "token", url.Values{"grant_type": {"client_credentials"}, "scope": {"book:1:read"}})
}

func (c client) mustToken(at string) string {
	a, err := c.token(at)
	var granted struct {
		Token string `json:"access_token"`
	}
	if err != nil || json.Unmarshal([]byte(a.body), &granted) != nil || granted.Token == "" {
		log.Fatalf("no token for %s: %s, %v", c.id, a, err)
	}
	return granted.Token
}

// about sends a token to an endpoint.
func (c client) about(at, endpoint, token string) answer {
	a, err := c.post(at, endpoint, url.Values{"token": {token}})
	if err != nil {
		log.Fatal(err)
	}
	return a
}

// atDoor requests a book at a door.
func atDoor(door, path, token string) (answer, error) {
	return ask("GET", door+path, "", "Authorization", "Bearer "+token)
}

// accepted and refused report how a door answers a token.
func accepted(door, token string) bool { return doorSays(door, token, 200) }
func refused(door, token string) bool  { return doorSays(door, token, 401) }

func doorSays(door, token string, status int) bool {
	a, err := atDoor(door, "/books/1", token)
	return err == nil && a.status == status
}

// idOf returns the jti of a token.
func idOf(token string) string {
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var named struct {
		ID string `json:"jti"`
	}
	if err != nil || json.Unmarshal(claims, &named) != nil {
		log.Fatal("a token has no jti")
	}
	return named.ID
}

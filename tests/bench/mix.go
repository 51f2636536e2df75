package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
)

const (
	soakClients = 1000
	soakWorkers = 16
)

// step is a request of the mix, with the answers that it may get.
type step struct {
	site, path, form string // without a form it is a GET of a door
	token            string
	answers          []int
}

// mixedRequests sends about n requests of all kinds, and counts the answers.
func (s *server) mixedRequests(n int) (map[int]int, error) {
	var (
		sent     atomic.Int64
		group    sync.WaitGroup
		mu       sync.Mutex
		statuses = make(map[int]int)
		failure  error
	)
	for range soakWorkers {
		group.Go(func() {
			w := &mixer{server: s, conns: make(map[string]*conn), statuses: make(map[int]int)}
			var err error
			for err == nil && sent.Load() < int64(n) {
				before := w.sent
				err = w.session()
				sent.Add(int64(w.sent - before))
			}
			for _, c := range w.conns {
				c.hangUp()
			}
			mu.Lock()
			defer mu.Unlock()
			for status, n := range w.statuses {
				statuses[status] += n
			}
			if err != nil {
				failure = err
			}
		})
	}
	group.Wait()
	return statuses, failure
}

// mixer sends one request after another.
type mixer struct {
	server   *server
	conns    map[string]*conn
	statuses map[int]int
	sent     int
	status   int // of the last answer
}

// session is what a client may do in its life, good and bad.
func (m *mixer) session() error {
	f := m.server.fixture
	client := demo(rand.IntN(soakClients))
	scopes := fmt.Sprintf("book:%s:read %s", client, twoScopes)
	if rand.IntN(20) == 0 { // seldom, so that the warm-up need not fill the memory for decisions
		scopes = fmt.Sprintf("book:%x:read %s", rand.Uint64(), twoScopes)
	}
	if err := m.do(step{site: "token", path: tokenPath, form: f.tokenForm(client, scopes), answers: []int{200, 429}}); err != nil {
		return err
	}
	if m.status != 200 {
		return nil
	}
	token, err := accessToken(200, m.conns["token"].body.Bytes())
	if err != nil {
		return err
	}
	other, err := f.Elsewhere.token()
	if err != nil {
		return err
	}
	about := url.Values{"token": {token}, "client_id": {client}, "client_secret": {f.secret}}.Encode()
	failing := url.Values{"grant_type": {"client_credentials"}, "client_secret": {f.secret + "x"}, "client_id": {"demo-1"}, "scope": {"book"}}
	unknown := url.Values{"grant_type": {"client_credentials"}, "client_secret": {f.secret}, "client_id": {fmt.Sprintf("unknown-%x", rand.Uint64())}}
	steps := []step{
		{site: "door", token: token, answers: []int{200}},
		{site: "door", token: token, answers: []int{200}},
		{site: "door", token: token[:len(token)-8] + "AAAAAAAA", answers: []int{401}},
		{site: "door-elsewhere", token: other, answers: []int{200}},
		{site: "door-elsewhere", token: token, answers: []int{401}},
		{site: "token", path: "/oauth2/introspect", form: about, answers: []int{200, 429}},
		{site: "clock", path: tokenPath, form: f.tokenForm(client, scopes), answers: []int{200, 429}},
	}
	if rand.IntN(400) == 0 { // seldom, because callers that go on failing are slowed down
		steps = append(steps,
			step{site: "token", path: tokenPath, form: failing.Encode(), answers: []int{401, 429}},
			step{site: "token", path: tokenPath, form: unknown.Encode(), answers: []int{401, 429}})
	}
	if rand.IntN(10) == 0 {
		steps = append(steps,
			step{site: "token", path: "/oauth2/revoke", form: about, answers: []int{200, 429}},
			step{site: "door", token: token, answers: []int{401, 200}}) // 200 if the revocation was 429
	}
	for _, st := range steps {
		if err := m.do(st); err != nil {
			return err
		}
	}
	return nil
}

func (m *mixer) do(st step) error {
	c := m.conns[st.site]
	if c == nil {
		c = &conn{address: m.server.site(st.site)}
		m.conns[st.site] = c
	}
	raw := rawGet(c.address, st.token)
	if st.form != "" {
		raw = rawPost(c.address, st.path, st.form)
	}
	status, err := c.do(raw)
	if err != nil {
		return fmt.Errorf("the site %s: %w", st.site, err)
	}
	m.sent++
	m.statuses[status]++
	m.status = status
	for _, want := range st.answers {
		if status == want {
			return nil
		}
	}
	return fmt.Errorf("the site %s answers %d: %s", st.site, status, c.body.Bytes())
}

package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// progressInterval is how long an answer takes before it becomes lines, and how often a line says how far the work is.
var progressInterval = time.Second

// progress says how far the work for a request is. It writes from a goroutine of its own, so that a client that does not
// read keeps only itself waiting, and not the registry.
type progress struct {
	a     *request
	state atomic.Pointer[api.Progress]
	stop  chan struct{} // closed to end the goroutine; nil if the client does not take lines
	begun chan bool     // gets whether lines were written
}

// startProgress begins to report progress, if the client takes lines of JSON. Exactly one of done and fail must be called.
func (a *request) startProgress() *progress {
	p := &progress{a: a}
	if strings.Contains(a.r.Header.Get("Accept"), api.TypeLines) {
		p.stop, p.begun = make(chan struct{}), make(chan bool, 1)
		go p.run()
	}
	return p
}

// at returns a function that notes how far a part of the work is.
func (p *progress) at(doing string) func(done, total int) {
	return func(done, total int) { p.state.Store(&api.Progress{Doing: doing, Done: done, Total: total}) }
}

func (p *progress) run() {
	begun := false
	defer func() { p.begun <- begun }()
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
		}
		state := p.state.Load()
		if state == nil {
			continue
		}
		if !begun {
			begun = true
			p.a.w.Header().Set("Content-Type", api.TypeLines)
			p.a.w.WriteHeader(http.StatusOK)
		}
		if p.line(api.Line{Progress: state}) != nil {
			return
		}
	}
}

func (p *progress) line(line api.Line) error {
	if err := json.NewEncoder(p.a.w).Encode(line); err != nil {
		return err
	}
	return http.NewResponseController(p.a.w).Flush()
}

// end ends the goroutine, and reports whether it has begun the answer.
func (p *progress) end() bool {
	if p.stop == nil {
		return false
	}
	close(p.stop)
	return <-p.begun
}

// done answers with the result.
func (p *progress) done(answer api.Applied) {
	if p.end() {
		_ = p.line(api.Line{Applied: &answer}) // fails only if the client has gone
		return
	}
	writeJSON(p.a.w, http.StatusOK, answer)
}

// fail answers with an error. It returns the error if the answer has not begun, so that the caller answers with a status.
func (p *progress) fail(err error) error {
	if !p.end() {
		return err
	}
	_ = p.line(api.Line{Failed: ErrorOf(err).Masked()})
	return nil
}

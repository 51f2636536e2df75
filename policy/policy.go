// Package policy decides token requests and proxied requests with Rego.
//
// [Load] reads the policy's files, or its OPA bundle, adds the Rego that ships, and compiles both into a
// snapshot: a fault in any of them is a load error with file and line. [Engine.DecideToken] and
// [Engine.DecideRequest] ask one snapshot, and [Engine.Reload] replaces it whole when the files have
// changed. A bundle of a server is polled from [Engine.Start] on.
//
// The engine fails closed. A rule that fails, conflicts, is of the wrong type or too slow gives an
// [Error] and no decision, and no Rego can hold a request longer than the configured timeout.
package policy

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

// DefaultTimeout is how long a decision may take unless [Config] says otherwise.
const DefaultTimeout = 100 * time.Millisecond

// Config says which policy an [Engine] runs, and within which bounds.
type Config struct {
	// Paths are files and folders with .rego, .json, .yaml and .yml files. Folders are read with
	// their subfolders. Files and folders whose names begin with a dot are left out, and so are
	// Rego tests (_test.rego) unless Verify is on. Default: none, and the Rego that ships decides alone.
	Paths []string
	// Bundle is an OPA bundle, in place of Paths. Default: none.
	Bundle *bundle.Config
	// NoDefaults leaves the shipped policy out, so that only what Paths say is granted. The
	// libraries data.m2m.scope and data.m2m.grants stay.
	NoDefaults bool
	// Verify runs the Rego tests (_test.rego) at Paths before a policy is taken; one that fails keeps
	// the policy in force. Default: false, and tests are left out.
	Verify bool
	// Timeout is how long a decision may take, waiting for a free worker included. Default:
	// DefaultTimeout.
	Timeout time.Duration
	// MaxConcurrent is how many evaluations may run at once; more wait. One that ignores its
	// timeout counts until it really ends. Default: four for each CPU.
	MaxConcurrent int
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxConcurrent <= 0 {
		c.MaxConcurrent = 4 * runtime.GOMAXPROCS(0)
	}
	return c
}

// Engine holds a compiled policy. Its methods may be called concurrently.
type Engine struct {
	cfg     Config
	workers *workers
	current atomic.Pointer[snapshot]
	// requests is whether decisions on requests are asked for, too.
	requests atomic.Bool

	mu      sync.Mutex // guards what follows
	files   files.Watch
	bundle  *bundled // nil for files
	problem *problem // nil if the policy in force is what its files or bundle last held
}

// Load reads and compiles a policy. Its errors name file and line, several joined. It starts no
// goroutine; decisions do, and [Engine.Close] ends them. A bundle of a server is not asked for before
// [Engine.Start]: until one is there, no decision is made.
func Load(cfg Config) (*Engine, error) {
	cfg = cfg.withDefaults()
	e := &Engine{cfg: cfg, workers: newWorkers(cfg.MaxConcurrent), files: files.Watch{
		Find: func() ([]files.File, error) { return files.Scan(cfg.Paths, cfg.Verify) },
		Read: files.Read,
	}}
	if cfg.Bundle != nil {
		if len(cfg.Paths) > 0 {
			return nil, errors.New("a policy is of paths or a bundle, not of both")
		}
		source, err := bundle.Open(*cfg.Bundle)
		if err != nil {
			return nil, err
		}
		e.bundle = &bundled{engine: e, source: source}
	}
	if _, err := e.Reload(); err != nil {
		return nil, err
	}
	return e, nil
}

// Revision identifies the policy in force: a short hash of all its sources, the shipped ones
// included, after the revision that a bundle's manifest gives and an @. It is the same on every node that
// has the same files, wherever they are, and "" before there is a policy.
func (e *Engine) Revision() string {
	if s := e.current.Load(); s != nil {
		return s.revision
	}
	return ""
}

// inForce is the policy that decides now.
func (e *Engine) inForce(ctx context.Context) (*snapshot, error) {
	if s := e.current.Load(); s != nil {
		return s, nil
	}
	return e.firstBundle(ctx)
}

// Close ends the goroutines that wait for work. Decisions that are under way come to their end,
// and later ones still work, so that what drains during a shutdown is answered.
func (e *Engine) Close() { e.workers.close() }

// DecideToken says which of the requested scopes a token may hold. Whatever the policy does it
// returns within about Config.Timeout, or when ctx ends. Every error is an [*Error].
func (e *Engine) DecideToken(ctx context.Context, in TokenInput) (TokenDecision, error) {
	s, q, err := e.tokenQuestion(ctx, in)
	if err != nil {
		return TokenDecision{}, err
	}
	answer, err := ask(ctx, e, s, q)
	if err != nil {
		return TokenDecision{}, err
	}
	return answer.decide(in.Scopes, s), nil
}

// DefaultScopes says what a request without a scope asks for, sorted; none is no error. The scopes
// are well-formed, and are requests: DecideToken still decides them. Its errors are those of
// DecideToken.
func (e *Engine) DefaultScopes(ctx context.Context, in TokenInput) ([]string, error) {
	s, q, err := e.defaultScopesQuestion(ctx, in)
	if err != nil {
		return nil, err
	}
	return ask(ctx, e, s, q)
}

// DecideRequest says whether a proxied request is let through, and what the upstream is told. Time and
// errors are as with DecideToken; a policy without any rule for requests is an error, too, for who asks
// it believes that there is one.
func (e *Engine) DecideRequest(ctx context.Context, in RequestInput) (RequestDecision, error) {
	s, q, err := e.requestQuestion(ctx, in)
	if err != nil {
		return RequestDecision{}, err
	}
	d, err := ask(ctx, e, s, q)
	if err != nil {
		return RequestDecision{}, err
	}
	d.Revision = s.revision
	return d, nil
}

var errNoRule = errors.New("it has no rule of package m2m.request, so that it would refuse nothing")

func noRule() *Error { return &Error{NoRule, errNoRule} }

// RequireRequests says that decisions on requests will be asked for. It fails when the policy in force has
// no rule of package m2m.request, and from now on one without is not taken. A bundle that is not there yet
// is looked at when it comes.
func (e *Engine) RequireRequests() error {
	e.requests.Store(true)
	if s := e.current.Load(); s != nil && !s.judges {
		return errNoRule
	}
	return nil
}

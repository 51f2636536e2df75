// Package policy decides token requests and proxied requests with Rego.
//
// [Load] reads the policy's files, or its OPA bundle, adds the shipped Rego, and compiles both into a snapshot. An
// error in any of them is a load error with file and line. [Engine.DecideToken] and [Engine.DecideRequest] evaluate one
// snapshot, and [Engine.Reload] replaces it when the files have changed. [Engine.Start] polls the bundle of a server.
//
// The engine fails closed. A rule that fails, conflicts, has the wrong type or takes too long gives an [Error] and no
// decision, and no Rego can delay a request longer than the configured timeout.
//
// To read the code, start with policy.go for loading, compile.go and contract.go for compiling, decide.go and evaluate.go
// for decisions, native.go and shortcut.go for what Go computes in place of Rego, dependencies.go and cache.go for what is
// cached, explain.go for explanations, reload.go for new files and bundles, and mask.go for the decision log. The package
// imports policy/bundle, policy/files, rego and leaves.
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
	// Paths are files and folders with .rego, .json, .yaml and .yml files. Folders are read with their subfolders.
	// Files and folders whose names begin with a dot are left out, and so are Rego tests (_test.rego) unless Verify is
	// on. Default: none, and only the shipped policy decides.
	Paths []string
	// Bundle is an OPA bundle, in place of Paths. Default: none.
	Bundle *bundle.Config
	// NoDefaults leaves the shipped policy out, so that only Paths grant scopes. The libraries data.m2m.scope and
	// data.m2m.grants stay.
	NoDefaults bool
	// Verify runs the Rego tests (_test.rego) in Paths before a policy is put into force. If one fails, the policy in
	// force stays. Default: false, and tests are left out.
	Verify bool
	// Timeout bounds a decision, including the wait for a free worker. Default: DefaultTimeout.
	Timeout time.Duration
	// MaxConcurrent is how many evaluations may run at once; others wait. One that ignores its timeout counts until it
	// ends. Default: four for each CPU.
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
	// requests is whether the engine decides on requests, too.
	requests atomic.Bool
	uses     map[*query]*uses // of the cache; the map does not change
	closed   atomic.Bool

	mu      sync.Mutex // guards what follows
	files   files.Watch
	bundle  *bundled     // nil for files
	problem *problem     // nil if the policy in force is what its files or bundle last held
	refused refusedFiles // of the files that were refused last, and have not been accepted since
}

// Load reads and compiles a policy. Its errors name file and line, several joined. It starts no goroutine; decisions
// do, and [Engine.Close] ends them. It does not fetch the bundle of a server: before [Engine.Start] has one, there are
// no decisions.
func Load(cfg Config) (*Engine, error) {
	cfg = cfg.withDefaults()
	e := &Engine{cfg: cfg, workers: newWorkers(cfg.MaxConcurrent), uses: make(map[*query]*uses), files: files.Watch{
		Find: func() ([]files.File, error) { return files.Scan(cfg.Paths, cfg.Verify) },
		Read: files.Read,
	}}
	for _, q := range cachedQueries {
		e.uses[q] = new(uses)
	}
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

// Revision identifies the policy in force: a short hash of all its files, including the shipped ones. The revision in a
// bundle's manifest and an @ come before it. It is the same on every node that has the same files, wherever they are,
// and "" before there is a policy.
func (e *Engine) Revision() string {
	if s := e.current.Load(); s != nil {
		return s.revision
	}
	return ""
}

// inForce returns the policy that decides now.
func (e *Engine) inForce(ctx context.Context) (*snapshot, error) {
	if s := e.current.Load(); s != nil {
		return s, nil
	}
	return e.firstBundle(ctx)
}

// Close ends goroutines that wait for work, and drops the cached decisions. Current and later decisions still work, so that
// requests are answered during a shutdown.
func (e *Engine) Close() {
	e.workers.close()
	e.closed.Store(true)
	if s := e.current.Load(); s != nil {
		s.cache.close()
	}
}

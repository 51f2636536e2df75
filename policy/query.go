package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// preparedQuery is a compiled query, with the policy and the data that it asks. It does not change. It does what
// rego.PreparedEvalQuery does, with fewer allocations: it has one transaction for all evaluations, because its store never
// changes, and it returns OPA's own term.
type preparedQuery struct {
	compiler *ast.Compiler
	query    ast.QueryCompiler
	body     ast.Body
	store    storage.Store
	txn      storage.Transaction
	natives  map[string]*topdown.Builtin
	isPrompt bool
}

// resultVar is the variable of a query that has its result.
const resultVar = ast.Var("result")

// prepare compiles a query. The store must not change any more.
func prepare(compiler *ast.Compiler, store storage.Store, text string, natives map[string]*topdown.Builtin) (*preparedQuery, error) {
	body, err := ast.ParseBodyWithOpts(string(resultVar)+" = "+text, ast.ParserOptions{Capabilities: capabilities(), RegoVersion: ast.RegoV1})
	if err != nil {
		return nil, fmt.Errorf("preparing query: %w", explainLoad(err))
	}
	query := compiler.QueryCompiler()
	body, err = query.Compile(body)
	if err != nil {
		return nil, fmt.Errorf("preparing query: %w", explainLoad(err))
	}
	txn, err := store.NewTransaction(context.Background())
	if err != nil {
		return nil, fmt.Errorf("reading data: %w", err)
	}
	return &preparedQuery{compiler: compiler, query: query, body: body, store: store, txn: txn, natives: natives}, nil
}

// evaluation is what an evaluation of a query has of its own.
type evaluation struct {
	input  *ast.Term
	cancel topdown.Cancel
	// at is the time that the policy sees; the zero time is the current time.
	at      time.Time
	tracers []topdown.QueryTracer
	known   known
}

// known holds parts of an input together with the terms that they have become, so that natives need not read these terms.
type known struct {
	client *Client
	grants *ast.Array // of the client
	scopes []scope.Scope
	asked  *ast.Array // the scopes
}

// evalContext is the context of an evaluation, by which natives get what is known of the input.
type evalContext struct {
	context.Context
	cancel topdown.Cancel
	known
}

// eval returns the result, or nil if it is undefined.
func (p *preparedQuery) eval(ctx context.Context, e evaluation) (*ast.Term, error) {
	query := topdown.NewQuery(p.body).
		WithQueryCompiler(p.query).
		WithCompiler(p.compiler).
		WithStore(p.store).
		WithTransaction(p.txn).
		WithBuiltins(p.natives).
		WithStrictBuiltinErrors(true).
		WithMetrics(noMetrics).
		WithInput(e.input).
		WithCancel(e.cancel)
	for _, tracer := range e.tracers {
		query = query.WithQueryTracer(tracer)
	}
	if !e.at.IsZero() {
		query = query.WithTime(e.at)
	}
	var result *ast.Term
	err := query.Iter(&evalContext{ctx, e.cancel, e.known}, func(found topdown.QueryResult) error {
		if result != nil {
			return errors.New("the contract's rules have no single value")
		}
		result = found[resultVar]
		return nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

var noMetrics = metrics.NoOp()

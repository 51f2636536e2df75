package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

// Bounds on the tests of a policy: of one, and of all together.
const (
	testTimeout   = 5 * time.Second
	verifyTimeout = 30 * time.Second
)

// maxFailed is how many tests that fail are named.
const maxFailed = 20

// verify runs the tests in files. Its error names those that fail, with file and line. When the time is up it abandons
// tests that ignore cancellation, and names them.
func verify(sources []files.File) error {
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), verifyTimeout)
	defer cancel()
	run := new(testRun)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("testing the policy: panic: %v", r)
			}
		}()
		done <- run.do(ctx, sources)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("testing the policy: the tests take longer than %v%s", verifyTimeout, run.left())
	}
}

// testRun runs the tests of a policy, and knows which of them have not ended.
type testRun struct {
	begun sync.Map // positions of tests that have not ended
}

func (t *testRun) do(ctx context.Context, sources []files.File) error {
	runner, store, modules, err := newRunner(sources)
	if err != nil {
		return err
	}
	t.begin(modules)
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return fmt.Errorf("testing the policy: %w", err)
	}
	defer store.Abort(ctx, txn)
	results, err := runner.RunTests(ctx, txn)
	if err != nil {
		return fmt.Errorf("testing the policy: %w", explainLoad(err))
	}
	var failed []error
	ran := 0
	for result := range results {
		ran++
		t.begun.Delete(position(result.Location))
		if why := wrongWith(result); why != "" {
			failed = append(failed, fmt.Errorf("%stest %s.%s %s", at(result.Location), result.Package, result.Name, why))
		}
	}
	switch {
	case ran == 0:
		return errors.New("testing the policy: it has no test, and verify is on")
	case len(failed) > maxFailed:
		more := fmt.Errorf("and %d more tests", len(failed)-maxFailed)
		failed = append(failed[:maxFailed], more)
	}
	return errors.Join(failed...)
}

func (t *testRun) begin(modules map[string]*ast.Module) {
	for _, module := range modules {
		for _, rule := range module.Rules {
			if strings.HasPrefix(ruleName(rule), tester.TestPrefix) {
				t.begun.Store(position(rule.Location), nil)
			}
		}
	}
}

// left names tests that have not ended.
func (t *testRun) left() string {
	const enough = 5
	var left []string
	t.begun.Range(func(position, _ any) bool {
		left = append(left, position.(string))
		return true
	})
	slices.Sort(left)
	switch {
	case len(left) == 0:
		return ""
	case len(left) > enough:
		left = append(left[:enough], "…")
	}
	return ", and have not ended: " + strings.Join(left, ", ")
}

// wrongWith returns what is wrong with a test, or "". Tests with the prefix todo_ do not fail.
func wrongWith(result *tester.Result) string {
	switch {
	case result.Skip:
		return ""
	case result.Error != nil:
		return "ends with an error: " + result.Error.Error()
	case result.Fail:
		return "fails"
	}
	return ""
}

// newRunner compiles files together with their tests, in the same way as without them.
func newRunner(sources []files.File) (*tester.Runner, storage.Store, map[string]*ast.Module, error) {
	modules, data, err := parseFiles(sources)
	if err != nil {
		return nil, nil, nil, err
	}
	compiler, err := newCompiler(nil)
	if err != nil {
		return nil, nil, nil, err
	}
	store := inmem.NewFromObject(data)
	return tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(modules).
		SetTimeout(testTimeout).RaiseBuiltinErrors(true), store, modules, nil
}

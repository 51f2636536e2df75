package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/policy/files"
	shipped "github.com/caddy-m2m/caddy-m2m/rego"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// snapshot is a compiled policy with its data. Apart from the count of failed decisions and the cache it does not change.
type snapshot struct {
	revision string
	tested   string // the revision with the tests that it has passed
	rules    ruleIndex
	prepared map[*query]*preparedQuery
	// masks, judges, maps and issues say whether there is any rule of a mask, of a request decision, of an identity decision, and
	// of authors of a decision of an issuer.
	masks, judges, maps, issues bool
	// leftOver is the reason of scopes that no rule grants, and none rejects either.
	leftOver string
	// shortcut says that Go computes the shipped rules of token decisions.
	shortcut bool
	// authorsRead is what of the input authorsQuery reads.
	authorsRead *reads
	failed      failed
	// depends says what the decisions of each query in cachedQueries depend on, and cache holds some of them.
	depends map[*query]*dependencies
	cache   *cache
}

// compile compiles files, including the shipped ones, to a snapshot.
func compile(sources []files.File) (*snapshot, error) {
	modules, data, err := parseFiles(sources)
	if err != nil {
		return nil, err
	}
	s := &snapshot{
		revision: files.Revision(sources), rules: indexRules(modules), prepared: make(map[*query]*preparedQuery),
		depends: make(map[*query]*dependencies), cache: newCache(),
	}
	s.leftOver = notGranted
	if modules[shippedFolder+shipped.Token] != nil {
		s.leftOver = notCovered
	}
	if err := checkPrint(modules, sources); err != nil {
		return nil, err
	}
	written := writtenRules(modules)
	withoutStubs(modules, written)
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	compiler, err := compileModules(modules, store)
	if err == nil {
		err = errors.Join(checkRefs(compiler, data), checkUse(compiler), checkTypes(compiler, sources))
	}
	if err != nil {
		return nil, err
	}
	s.masks, s.judges = maskQuery.isWritten(written), requestQuery.isWritten(written)
	s.maps = identityQuery.isWritten(written)
	s.issues = slices.ContainsFunc(ownTyped(modules), func(t typed) bool { return t.contract.path == tokenPackage || t.contract.path == identityPackage })
	for _, q := range []*query{tokenQuery, defaultScopesQuery, requestQuery, identityQuery, maskQuery} {
		if s.prepared[q], err = prepare(compiler, store, q.text(written), nativeBuiltins()); err != nil {
			return nil, err
		}
	}
	for _, q := range cachedQueries {
		s.depends[q] = dependenciesOf(compiler, q, written)
	}
	if err := s.prepareShortcut(compiler, modules, store); err != nil {
		return nil, err
	}
	s.depends[tokenQuery].key.ipByNetworks = s.shortcut && (s.authorsRead == nil || !s.authorsRead.has("request", "remote_ip"))
	s.finish()
	return s, nil
}

func parseFiles(sources []files.File) (map[string]*ast.Module, map[string]any, error) {
	modules, moduleErr := parseModules(sources)
	data, dataErr := files.Data(sources)
	return modules, data, errors.Join(moduleErr, dataErr)
}

func parseModules(sources []files.File) (map[string]*ast.Module, error) {
	opts := ast.ParserOptions{
		Capabilities:      capabilities(),
		ProcessAnnotation: true,
		RegoVersion:       ast.RegoV1,
	}
	modules := make(map[string]*ast.Module)
	var errs []error
	for _, s := range sources {
		if !s.IsRego() {
			continue
		}
		module, err := ast.ParseModuleWithOpts(s.Name, string(s.Content), opts)
		switch {
		case err != nil || isShipped(s.Name):
		case s.IsTest():
			err = checkTest(module)
		default:
			err = checkModule(module)
		}
		if err != nil {
			errs = append(errs, explainLoad(err))
			continue
		}
		modules[s.Name] = module
	}
	return modules, errors.Join(errs...)
}

func compileModules(modules map[string]*ast.Module, store storage.Store) (*ast.Compiler, error) {
	ctx := context.Background()
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading data: %w", err)
	}
	defer store.Abort(ctx, txn)
	compiler, err := newCompiler(storage.NonEmpty(ctx, store, txn))
	if err != nil {
		return nil, err
	}
	if compiler.Compile(modules); compiler.Failed() {
		return nil, explainLoad(compiler.Errors)
	}
	return compiler, nil
}

// checkPrint compiles a policy with its calls of print, if it has any, because the compiler of decisions removes them before
// it checks anything. So a misspelt input in print is refused here as it is by OPA's own check.
func checkPrint(modules map[string]*ast.Module, sources []files.File) error {
	if !slices.ContainsFunc(slices.Collect(maps.Values(modules)), prints) {
		return nil
	}
	again, err := parseModules(sources)
	if err != nil {
		return err
	}
	compiler, err := newCompiler(nil)
	if err != nil {
		return err
	}
	if compiler.WithEnablePrintStatements(true).Compile(again); compiler.Failed() {
		return explainLoad(compiler.Errors)
	}
	return nil
}

func prints(module *ast.Module) (found bool) {
	ast.WalkExprs(module, func(expr *ast.Expr) bool {
		found = found || expr.IsCall() && expr.Operator().String() == ast.Print.Name
		return found
	})
	return found
}

// newCompiler returns a compiler that is as strict as possible: an unused variable or import in a policy is usually a
// mistake. It removes calls of print.
func newCompiler(isData func([]string) (bool, error)) (*ast.Compiler, error) {
	schemas, err := schemas()
	if err != nil {
		return nil, err
	}
	return ast.NewCompiler().
		WithCapabilities(capabilities()).
		WithSchemas(schemas).
		WithUseTypeCheckAnnotations(true).
		WithStrict(true).
		WithPathConflictsCheck(isData), nil
}

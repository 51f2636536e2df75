package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/claimname"
	"github.com/caddy-m2m/caddy-m2m/policy/files"
	"github.com/open-policy-agent/opa/v1/ast"
)

// checkTypes finds rules of authors whose values can never be what the contract requires: such a rule passes every other
// check, and fails the decision when it applies. A value whose type depends on data is checked by each decision.
func checkTypes(compiler *ast.Compiler, sources []files.File) error {
	wrong := make(map[string]error) // by position
	checkConstants(compiler, wrong)
	checkClaimNames(compiler, wrong)
	if isDoubtful(compiler) {
		if err := checkEachType(sources, wrong); err != nil {
			return err
		}
	}
	errs := make([]error, 0, len(wrong))
	for _, t := range ownTyped(compiler.Modules) {
		if err := wrong[position(t.rule.Location)]; err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// typed is a rule whose type is checked.
type typed struct {
	contract contract
	rule     *ast.Rule
	name     string
}

// ownTyped returns the authors' rules that a contract evaluates.
func ownTyped(modules map[string]*ast.Module) []typed {
	var rules []typed
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		module := modules[file]
		c, ok := contracts[packageOf(module)]
		if !ok || isShipped(file) {
			continue
		}
		for _, rule := range module.Rules {
			if name := ruleName(rule); c.rules[name] != "" {
				rules = append(rules, typed{c, rule, name})
			}
		}
	}
	return rules
}

// checkConstants decodes the members of sets that are constants as a decision does.
func checkConstants(compiler *ast.Compiler, wrong map[string]error) {
	for _, t := range ownTyped(compiler.Modules) {
		key := t.rule.Head.Key
		if objects[t.name] || key == nil || !ast.IsConstant(key.Value) {
			continue
		}
		if err := decodeMember(t, key); err != nil {
			wrong[position(t.rule.Location)] = errorAt(t.rule.Location, "%w: write %s", err, t.contract.rules[t.name])
		}
	}
}

// checkClaimNames finds claims that no token may have.
func checkClaimNames(compiler *ast.Compiler, wrong map[string]error) {
	for _, t := range ownTyped(compiler.Modules) {
		ref := t.rule.Head.Ref()
		if t.name != "claims" || len(ref) < 2 {
			continue
		}
		name, ok := ref[1].Value.(ast.String)
		if !ok {
			continue
		}
		if err := claimname.Check(string(name)); err != nil {
			wrong[position(t.rule.Location)] = errorAt(t.rule.Location, "no token may have it: %w", err)
		}
	}
}

// decodeMember decodes one member of a set.
func decodeMember(t typed, member *ast.Term) error {
	r := &results{path: t.contract.path, terms: ast.NewArray(ast.SetTerm(member))}
	switch t.name {
	case "granted":
		r.granted([]*ast.Term{member})
	case "rejected", "beyond_subject":
		r.reasoned(t.name, []*ast.Term{member})
	case "observed":
		if t.contract.path == tokenPackage {
			r.reasoned(t.name, []*ast.Term{member})
		} else {
			r.reasons(t.name, []*ast.Term{member})
		}
	case "denied":
		r.reasons(t.name, []*ast.Term{member})
	case "clients":
		r.clients([]*ast.Term{member})
	case "default_scopes", "required":
		r.scopes(t.name, []*ast.Term{member})
	case "ttl":
		r.ttl([]*ast.Term{member})
	case "mask":
		r.masks()
	}
	if r.err == nil {
		return nil
	}
	return r.err.Err
}

// isDoubtful reports whether the values of all rules of one name together may have a wrong type.
func isDoubtful(compiler *ast.Compiler) bool {
	seen := make(map[string]bool)
	for _, t := range ownTyped(compiler.Modules) {
		path := rulePath(t.rule.Module, t.rule)
		if seen[path] {
			continue
		}
		seen[path] = true
		if !shapeOf(t).isSurely(compiler.TypeEnv.GetByRef(ast.MustParseRef(path))) {
			return true
		}
	}
	return false
}

// checkEachType compiles the policy once more, with a name of its own for each rule: OPA knows only the common type of all
// rules of a name.
func checkEachType(sources []files.File, wrong map[string]error) error {
	modules, err := parseModules(sources)
	if err != nil {
		return err
	}
	rules := ownTyped(modules)
	for i, t := range rules {
		ref := t.rule.Head.Ref().Copy()
		ref[0] = ast.VarTerm(aloneName(i))
		t.rule.Head.Reference, t.rule.Head.Name = ref, ref[0].Value.(ast.Var)
	}
	compiler, err := newCompiler(nil)
	if err != nil {
		return err
	}
	if compiler.Compile(modules); compiler.Failed() {
		return nil // the policy itself compiles, and each decision checks types, too
	}
	for i, t := range rules {
		ref := ast.MustParseRef(t.contract.path + "." + aloneName(i))
		why, at := shapeOf(t).mismatch(compiler.TypeEnv.GetByRef(ref)), position(t.rule.Location)
		if why != "" && wrong[at] == nil {
			wrong[at] = errorAt(t.rule.Location, "%s %s: write %s", t.name, why, t.contract.rules[t.name])
		}
	}
	return nil
}

func aloneName(i int) string { return fmt.Sprintf("rule_%d_alone", i) }

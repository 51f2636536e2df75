package policy

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A decision is evaluated on the goroutine of its caller if that cannot keep the caller much longer than the timeout. OPA asks
// between steps whether it is to stop, and so does a builtin function that honours cancellation. While another function runs,
// nothing can stop it. So all functions of the policy must be in prompt. Any other policy is evaluated on a worker, which can
// be abandoned.

// prompt holds the builtin functions that a caller may wait for: they honour cancellation, or take time in proportion to
// their arguments, which took at least as long to build. Of concat that is so for some calls only. A new function of OPA is in neither list, and a test fails, so that
// somebody judges it.
var prompt = setOf(
	// These look at a value, or walk once through text or a collection.
	"all", "any", "assign", "array.concat", "array.reverse", "array.slice", "cast_array", "cast_boolean", "cast_null", "cast_object",
	"cast_set", "cast_string", "concat", "contains", "count", "endswith", "internal.member_2", "internal.member_3",
	"is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string", "lower", "object.get", "object.keys",
	"split", "startswith", "strings.reverse", "substring", "to_number", "trim_prefix", "trim_space", "trim_suffix", "type_name",
	"upper", "rego.metadata.chain", "rego.metadata.rule",
	// OPA compares values for itself, too.
	"eq", "equal", "gt", "gte", "lt", "lte", "neq",
	// Sets are looked up by hash.
	"and", "intersection", "or", "set_diff", "union",
	// These reject a number that is too large.
	"time.add_date", "time.clock", "time.date", "time.diff", "time.now_ns", "time.parse_duration_ns", "time.parse_rfc3339_ns", "time.weekday",
	// An address has at most 16 bytes.
	"net.cidr_contains", "net.cidr_intersects", "net.cidr_is_valid", "net.cidr_overlap",
	"rand.intn", "uuid.parse", "uuid.rfc4122",
	// These honour cancellation.
	"net.cidr_expand", "numbers.range", "numbers.range_step",
)

// slow holds all other functions, by the reason why nothing waits for them.
var slow = map[string][]string{
	"the digits of 1e9999999 are computed, also by minus, which is the difference of sets, too": {
		"abs", "ceil", "div", "floor", "format_int", "max", "min", "minus", "mul", "plus", "product", "rem", "round", "sum",
	},
	"the result may be far larger than the arguments": {
		"bits.and", "bits.lsh", "bits.negate", "bits.or", "bits.rsh", "bits.xor", "graph.reachable", "graph.reachable_paths",
		"internal.template_string", "net.cidr_merge", "replace", "sprintf", "strings.render_template", "strings.replace_n", "time.format",
	},
	"the time grows faster than the arguments": {
		"array.flatten", "glob.match", "glob.quote_meta", "indexof", "indexof_n", "net.cidr_contains_matches", "re_match",
		"regex.find_all_string_submatch_n", "regex.find_n", "regex.globs_match", "regex.is_valid", "regex.match", "regex.replace",
		"regex.split", "regex.template_match", "sort", "strings.any_prefix_match", "strings.any_suffix_match", "strings.count",
		"strings.split_n", "time.parse_ns", "trim", "trim_left", "trim_right",
	},
	"it is a parser or an encoder of some size": {
		"base64.decode", "base64.encode", "base64.is_valid", "base64url.decode", "base64url.encode", "base64url.encode_no_pad",
		"graphql.is_valid", "graphql.parse", "graphql.parse_and_verify", "graphql.parse_query", "graphql.parse_schema",
		"graphql.schema_is_valid", "hex.decode", "hex.encode", "json.filter", "json.is_valid", "json.marshal",
		"json.marshal_with_options", "json.patch", "json.remove", "json.unmarshal", "object.filter", "object.remove", "object.subset",
		"object.union", "object.union_n", "semver.compare", "semver.is_valid", "units.parse", "units.parse_bytes", "uri.is_valid", "uri.parse",
		"urlquery.decode", "urlquery.decode_object", "urlquery.encode", "urlquery.encode_object", "walk", "yaml.is_valid", "yaml.marshal",
		"yaml.unmarshal",
	},
	"it computes a hash or a signature": {
		"crypto.hmac.equal", "crypto.hmac.md5", "crypto.hmac.sha1", "crypto.hmac.sha256", "crypto.hmac.sha512", "crypto.md5",
		"crypto.parse_private_keys", "crypto.sha1", "crypto.sha256", "crypto.x509.parse_and_verify_certificates",
		"crypto.x509.parse_and_verify_certificates_with_options", "crypto.x509.parse_certificate_request",
		"crypto.x509.parse_certificates", "crypto.x509.parse_keypair", "crypto.x509.parse_rsa_private_key", "io.jwt.decode",
		"io.jwt.decode_verify", "io.jwt.encode_sign", "io.jwt.encode_sign_raw", "io.jwt.verify_eddsa", "io.jwt.verify_es256",
		"io.jwt.verify_es384", "io.jwt.verify_es512", "io.jwt.verify_hs256", "io.jwt.verify_hs384", "io.jwt.verify_hs512",
		"io.jwt.verify_ps256", "io.jwt.verify_ps384", "io.jwt.verify_ps512", "io.jwt.verify_rs256", "io.jwt.verify_rs384",
		"io.jwt.verify_rs512", "providers.aws.sign_req",
	},
	"it writes, or is only for tests": {"internal.print", "internal.test_case", "print", "trace"},
}

// isPrompt reports whether the rules of a query call only functions that a caller may wait for. Natives are prompt.
func isPrompt(compiler *ast.Compiler, q *query, usesNatives bool) bool {
	natives := nativeBuiltins()
	for _, rule := range reachable(compiler, q, usesNatives) {
		ok := true
		visit := func(x any) bool {
			switch x := x.(type) {
			case *ast.Expr:
				if !x.IsCall() {
					break
				}
				operator := x.Operator()
				name := operator.String()
				ok = ok && (operator.HasPrefix(ast.DefaultRootRef) || prompt[name] || natives[name] != nil) &&
					(name != ast.Concat.Name || concatenatesOne(x))
			case ast.Call: // compiled rules have none
				ok = false
			case *ast.With: // it may replace a function by another
				target, _ := x.Target.Value.(ast.Ref)
				ok = ok && (target.HasPrefix(ast.InputRootRef) || target.HasPrefix(ast.DefaultRootRef) && !isRef(x.Value))
			}
			return !ok
		}
		if ast.NewGenericVisitor(visit).Walk(rule); !ok {
			return false
		}
	}
	return true
}

// concatenatesOne reports whether a call of concat joins constants to one other string at most. Other calls could double a
// string in a moment, and what reads each of its characters would take far longer than it took to build.
func concatenatesOne(call *ast.Expr) bool {
	elements, ok := call.Operand(1).Value.(*ast.Array)
	if !ok || !isText(call.Operand(0)) {
		return false
	}
	others := 0
	elements.Foreach(func(element *ast.Term) {
		if !isText(element) {
			others++
		}
	})
	return others <= 1
}

func isText(term *ast.Term) bool {
	_, ok := term.Value.(ast.String)
	return ok
}

func isRef(term *ast.Term) bool {
	_, ok := term.Value.(ast.Ref)
	return ok
}

// reachable returns the rules of a query, and all rules that they may read, without those that natives replace.
func reachable(compiler *ast.Compiler, q *query, usesNatives bool) []*ast.Rule {
	var todo, found []*ast.Rule
	for _, name := range q.rules {
		todo = append(todo, compiler.GetRules(ast.MustParseRef(q.path+"."+name))...)
	}
	seen := make(map[*ast.Rule]bool)
	for len(todo) > 0 {
		rule := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[rule] || usesNatives && isNative(rule) {
			continue
		}
		seen[rule] = true
		found = append(found, rule)
		for dependency := range compiler.Graph.Dependencies(rule) {
			todo = append(todo, dependency.(*ast.Rule))
		}
	}
	return found
}

// askHere evaluates a question on the goroutine of the caller.
func askHere[T any](ctx context.Context, e *Engine, q question[T], timeout time.Duration) (T, error) {
	var none T
	deadline := &deadline{ctx: ctx, at: time.Now().Add(timeout)}
	if !e.workers.tryAcquire() {
		timer := time.NewTimer(timeout)
		ok := acquire(e.workers, timer.C, ctx.Done())
		timer.Stop()
		if !ok {
			return none, giveUp(ctx, Overloaded, "no free worker within %v", timeout)
		}
	}
	defer e.workers.release()
	a := evaluate(q, deadline)
	switch {
	case a.err == nil:
		return a.value, nil
	case deadline.passed:
		return none, giveUp(ctx, Timeout, "no decision within %v", timeout)
	}
	return none, a.err
}

// deadline ends an evaluation on its own goroutine when the time is up, or the caller has given up. It implements
// topdown.Cancel without a timer. Only that goroutine uses it. It reads the clock at each step, because the values may double
// with each: after few steps the next one could take minutes.
type deadline struct {
	ctx    context.Context
	at     time.Time
	asked  int
	passed bool
}

// askEvery is how many steps of an evaluation pass until it looks whether the caller has given up.
const askEvery = 16

// Cancel implements topdown.Cancel.
func (d *deadline) Cancel() { d.passed = true }

// Cancelled implements topdown.Cancel.
func (d *deadline) Cancelled() bool {
	d.asked++
	d.passed = d.passed || time.Until(d.at) <= 0 || d.asked%askEvery == 0 && d.ctx.Err() != nil
	return d.passed
}

// finish makes the prepared queries call natives, and says of each whether it is prompt. The compilers must not be examined
// any more: they no longer have what authors wrote.
func (s *snapshot) finish() {
	used := make(map[*ast.Compiler]bool)
	for q, prepared := range s.prepared {
		if _, done := used[prepared.compiler]; !done {
			used[prepared.compiler] = useNatives(prepared.compiler)
		}
		prepared.isPrompt = isPrompt(prepared.compiler, q, used[prepared.compiler])
	}
}

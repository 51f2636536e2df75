package policy

// Kind says in one word why there is no decision. Kinds are stable: metrics use them as labels.
type Kind string

// The kinds of an [Error].
const (
	// Eval is a rule or builtin function that failed, or an input that is no JSON.
	Eval Kind = "eval"
	// WrongType is a rule of the contract whose value is not what the contract says.
	WrongType Kind = "wrong_type"
	// Conflict is a rule that has two values at once.
	Conflict Kind = "conflict"
	// Timeout is an evaluation that took longer than the configured timeout.
	Timeout Kind = "timeout"
	// Overloaded is a decision that found no free worker within the timeout.
	Overloaded Kind = "overloaded"
	// NoRule is a decision on a request by a policy that has no rule of package m2m.request.
	NoRule Kind = "no_rule"
	// Canceled is a decision whose caller gave up before it was made.
	Canceled Kind = "canceled"
	// NotReady is a decision before there is a policy: its bundle has not come yet.
	NotReady Kind = "not_ready"
)

// Error is a decision that could not be made. Its text names the rule, file and line where that is
// known. It is for the operator: it may quote what the policy quotes, and is not for the client.
type Error struct {
	Kind Kind
	Err  error
}

// Error is the cause's text; the kind is left to logs and metrics.
func (e *Error) Error() string { return "deciding by policy: " + e.Err.Error() }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

package policy

// Kind is why there is no decision, in one word. Kinds are stable: they are labels of metrics.
type Kind string

// The kinds of an [Error].
const (
	// Eval means that a rule or builtin function failed, or that the input is not JSON.
	Eval Kind = "eval"
	// WrongType means that the value of a rule is not what the contract requires.
	WrongType Kind = "wrong_type"
	// Conflict means that a rule has two values at once.
	Conflict Kind = "conflict"
	// Timeout means that the evaluation took longer than the configured timeout.
	Timeout Kind = "timeout"
	// Overloaded means that there was no free worker within the timeout.
	Overloaded Kind = "overloaded"
	// NoRule means that the policy of a decision on a request has no rule of package m2m.request.
	NoRule Kind = "no_rule"
	// Canceled means that the caller gave up before the decision.
	Canceled Kind = "canceled"
	// NotReady means that there is no policy yet, because its bundle was not fetched.
	NotReady Kind = "not_ready"
)

// Error is a decision that could not be made. Its text names the rule, file and line if they are known. It is for the
// operator and not for the client: it may quote what the policy quotes.
type Error struct {
	Kind Kind
	Err  error
}

// Error returns the text of the cause. Logs and metrics have the kind separately.
func (e *Error) Error() string { return "deciding by policy: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

package poll

import (
	"regexp"
	"sync/atomic"
)

// localPort is the local port in the error of a connection, as in "read tcp 10.0.0.1:57554->10.0.0.2:6379". It differs
// from attempt to attempt.
var localPort = regexp.MustCompile(`:\d+->`)

// Reason returns the text of an error without what differs from attempt to attempt.
func Reason(err error) string { return localPort.ReplaceAllString(err.Error(), "->") }

// Failures remembers why the last of several attempts failed, so that a caller logs each reason once. The zero value
// is ready for use. It is safe for concurrent use.
type Failures struct{ reason atomic.Pointer[string] }

// Failed records that an attempt failed. It reports whether the previous attempt succeeded or failed for another reason.
func (f *Failures) Failed(err error) (isNew bool) {
	reason := Reason(err)
	previous := f.reason.Swap(&reason)
	return previous == nil || *previous != reason
}

// Succeeded records that an attempt succeeded. It reports whether the previous attempt failed.
func (f *Failures) Succeeded() (isNew bool) { return f.reason.Swap(nil) != nil }

// Reason returns why the last attempt failed, or "" if it succeeded or if there was none.
func (f *Failures) Reason() string {
	if reason := f.reason.Load(); reason != nil {
		return *reason
	}
	return ""
}

// OncePerReason returns a function that calls report for each new reason of a failure. The function takes a nil error
// as a success, after which any failure is new.
func OncePerReason(report func(error)) func(error) {
	failures := new(Failures)
	return func(err error) {
		if err == nil {
			failures.Succeeded()
		} else if failures.Failed(err) {
			report(err)
		}
	}
}

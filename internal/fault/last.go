package fault

import "sync/atomic"

// Last is why the last of many tries failed, if it did. It is safe for concurrent use.
type Last struct{ reason atomic.Pointer[string] }

// Failed notes why a try failed, and reports whether that is news: the one before worked, or failed for another reason.
func (l *Last) Failed(err error) (news bool) {
	reason := Reason(err)
	before := l.reason.Swap(&reason)
	return before == nil || *before != reason
}

// Worked notes that a try worked, and reports whether that is news: the one before failed.
func (l *Last) Worked() (news bool) { return l.reason.Swap(nil) != nil }

// Reason is why the last try failed; "" is that it worked, or that there was none.
func (l *Last) Reason() string {
	if reason := l.reason.Load(); reason != nil {
		return *reason
	}
	return ""
}

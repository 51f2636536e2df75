// Package fault says why something failed in words that stay the same for as long as the reason does, so that who looks
// again and again tells it once.
package fault

import "regexp"

// localPort is the port of this end in the errors of connections, as in "read tcp 10.0.0.1:57554->10.0.0.2:6379". It is
// another one at every try.
var localPort = regexp.MustCompile(`:\d+->`)

// Reason is the text of an error without what differs from try to try.
func Reason(err error) string { return localPort.ReplaceAllString(err.Error(), "->") }

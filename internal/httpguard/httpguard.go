// Package httpguard keeps a request from meaning one thing to the gateway that judges it and
// another to the upstream that serves it.
package httpguard

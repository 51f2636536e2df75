// Package httpguard makes sure that a request means the same to the gateway that judges it and to the upstream that serves
// it: it finds ambiguous paths, hosts and methods, and strips headers that upstreams would trust. Start with AmbiguousPath,
// AmbiguousHost and Overrides. The package imports only the plain leaves of this module.
package httpguard

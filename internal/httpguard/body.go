package httpguard

import (
	"net/http"
	"time"
)

// bodyTimeout bounds the time that the body of a request may take.
const bodyTimeout = 10 * time.Second

// BoundBody sets the deadline for the rest of a request's body, at routes whose bodies are small and for requests that
// are refused. A client needs no credentials to begin a body, and net/http reads what the handler has left of it before
// it answers. Timeouts of web servers are longer by default. The error is ignored: a server without deadlines bounds
// bodies itself. net/http sets a new deadline for the next request of the connection.
func BoundBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 { // -1 if the length is not known
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
}

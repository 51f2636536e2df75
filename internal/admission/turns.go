package admission

import "container/heap"

// turns are the clients that wait, as a heap by whose turn it is: the client that has had the least work done. A client that
// comes begins where the last turn was, as in start-time fair queueing.
type turns struct {
	clients []*client
	skipped []*client // by next, kept for its memory
	order   uint64
}

// Len implements heap.Interface, as do Less, Swap, Push and Pop.
func (t *turns) Len() int { return len(t.clients) }

func (t *turns) Less(i, j int) bool {
	a, b := t.clients[i], t.clients[j]
	if a.virtual != b.virtual {
		return a.virtual < b.virtual
	}
	return a.order < b.order
}

func (t *turns) Swap(i, j int) {
	t.clients[i], t.clients[j] = t.clients[j], t.clients[i]
	t.clients[i].turn, t.clients[j].turn = i, j
}

func (t *turns) Push(x any) {
	cl := x.(*client)
	cl.turn = len(t.clients)
	t.clients = append(t.clients, cl)
}

func (t *turns) Pop() any {
	last := len(t.clients) - 1
	cl := t.clients[last]
	t.clients[last] = nil
	t.clients = t.clients[:last]
	cl.turn = -1
	return cl
}

// add adds a client that begins to wait.
func (t *turns) add(cl *client) {
	t.served(cl)
	heap.Push(t, cl)
}

// served puts a client behind those that have had as much work done.
func (t *turns) served(cl *client) {
	t.order++
	cl.order = t.order
}

// remove removes a client that no longer waits.
func (t *turns) remove(cl *client) { heap.Remove(t, cl.turn) }

// moved puts a client into its place, if it waits, after its virtual time has changed.
func (t *turns) moved(cl *client) {
	if cl.turn >= 0 {
		heap.Fix(t, cl.turn)
	}
}

// next returns the client whose turn it is of those that may have it, nil if none may. It looks at no more clients that may
// not than there are requests that overstay.
func (t *turns) next(may func(*client) bool) (found *client) {
	for found == nil && len(t.clients) > 0 {
		if cl := t.clients[0]; may(cl) {
			found = cl
		} else {
			t.skipped = append(t.skipped, heap.Pop(t).(*client))
		}
	}
	for n, cl := range t.skipped {
		heap.Push(t, cl)
		t.skipped[n] = nil
	}
	t.skipped = t.skipped[:0]
	return found
}

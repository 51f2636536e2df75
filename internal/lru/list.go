package lru

// The lists that an entry is in.
const (
	ofAll = iota
	ofOwner
)

// list is a doubly linked list of entries, the newest first. The zero list is one of all entries.
type list[K comparable, V any] struct {
	which       int
	front, back *entry[K, V]
	len, size   int
}

type link[K comparable, V any] struct{ prev, next *entry[K, V] }

func (l *list[K, V]) pushFront(e *entry[K, V]) {
	e.links[l.which] = link[K, V]{next: l.front}
	if l.front != nil {
		l.front.links[l.which].prev = e
	} else {
		l.back = e
	}
	l.front = e
	l.len++
	l.size += e.size
}

func (l *list[K, V]) remove(e *entry[K, V]) {
	at := &e.links[l.which]
	if at.prev != nil {
		at.prev.links[l.which].next = at.next
	} else {
		l.front = at.next
	}
	if at.next != nil {
		at.next.links[l.which].prev = at.prev
	} else {
		l.back = at.prev
	}
	*at = link[K, V]{}
	l.len--
	l.size -= e.size
}

// leastUsed returns an entry to remove: the oldest that was not used lately. An entry that was counts as new again, as with
// the clock algorithm, which costs readers less than to keep the entries in the order of their use.
func (l *list[K, V]) leastUsed() *entry[K, V] {
	for range min(secondChances, l.len) {
		oldest := l.back
		if !oldest.used.Load() {
			return oldest
		}
		oldest.used.Store(false)
		l.remove(oldest)
		l.pushFront(oldest)
	}
	return l.back
}

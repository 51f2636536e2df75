package admission

import "time"

// maxClients bounds the clients of a table. They are authenticated, so none can make up others.
const maxClients = 100_000

// table has the clients that make requests. It forgets those that are idle. The zero value is ready to use.
type table struct {
	byKey          map[Key]*client
	oldest, newest *client
}

// find returns a client, and makes it the newest.
func (t *table) find(key Key, now time.Time, virtual float64) *client {
	cl := t.byKey[key]
	switch {
	case cl == nil:
		if t.byKey == nil {
			t.byKey = make(map[Key]*client)
		}
		t.forget(now, virtual)
		cl = &client{key: key, turn: -1, price: 1}
		t.byKey[key] = cl
	case cl == t.newest:
		return cl
	default:
		t.unlink(cl)
	}
	t.link(cl)
	return cl
}

// forget looks at the two oldest clients, which is enough to keep the table small: one comes in their place. They become
// the newest if they are not idle. Only a full table forgets a client that has used up some of its rate.
func (t *table) forget(now time.Time, virtual float64) {
	for range 2 {
		old := t.oldest
		switch {
		case old == nil:
			return
		case old.isIdle(now, virtual), old.inside == 0 && len(t.byKey) >= maxClients:
			t.unlink(old)
			delete(t.byKey, old.key)
		default:
			t.unlink(old)
			t.link(old)
		}
	}
}

func (t *table) link(cl *client) {
	cl.older, cl.newer = t.newest, nil
	if t.newest == nil {
		t.oldest = cl
	} else {
		t.newest.newer = cl
	}
	t.newest = cl
}

func (t *table) unlink(cl *client) {
	if cl.older == nil {
		t.oldest = cl.newer
	} else {
		cl.older.newer = cl.newer
	}
	if cl.newer == nil {
		t.newest = cl.older
	} else {
		cl.newer.older = cl.older
	}
	cl.older, cl.newer = nil, nil
}

package policy

import (
	"cmp"
	"context"
)

// decideToken returns a decision on a token request from the cache, or from evaluate, whose answer it adds to the cache. It
// looks before it builds anything of the input.
func decideToken[T any](
	ctx context.Context, e *Engine, q *query, in *TokenInput, copied func(*copier, T) T, evaluate func(*snapshot) (T, error),
) (none T, err error) {
	s, err := e.inForce(ctx)
	if err != nil {
		return none, err
	}
	if s.depends[q].varies != nil || in.isRead(&s.depends[q].key) {
		e.uses[q].evaluated.Add(1)
		return evaluate(s)
	}
	if err := ctx.Err(); err != nil {
		return none, &Error{Canceled, err}
	}
	var keys [keySpace]byte
	var named [codeSpace]string
	codes := sortedCodes(named[:0], in.Resources)
	k := append(key(keys[:0]), q.kind[0]).token(&s.depends[q].key, in, codes)
	if found := s.cache.get(k); found != nil && found.are(in, codes) {
		e.uses[q].hits.Add(1)
		return *found.value.(*T), nil
	}
	e.uses[q].misses.Add(1)
	value, err := evaluate(s)
	if err == nil {
		entry, size := newCached(value, copied)
		entry.versions = newVersions(in, codes)
		s.cache.add(k, in.Client.id(), entry, size)
	}
	return value, err
}

// decideRequest is like decideToken for a proxied request.
func decideRequest(
	ctx context.Context, e *Engine, in *RequestInput, evaluate func(*snapshot) (RequestDecision, error),
) (RequestDecision, error) {
	s, err := e.inForce(ctx)
	if err != nil {
		return RequestDecision{}, err
	}
	q := requestQuery
	var keys [keySpace]byte
	k, ok := key(nil), false
	if s.depends[q].varies == nil {
		k, ok = append(key(keys[:0]), q.kind[0]).request(&s.depends[q].key, in)
	}
	if !ok {
		e.uses[q].evaluated.Add(1)
		return evaluate(s)
	}
	if err := ctx.Err(); err != nil {
		return RequestDecision{}, &Error{Canceled, err}
	}
	if found := s.cache.get(k); found != nil {
		e.uses[q].hits.Add(1)
		return *found.value.(*RequestDecision), nil
	}
	e.uses[q].misses.Add(1)
	value, err := evaluate(s)
	if err == nil {
		entry, size := newCached(value, (*copier).request)
		s.cache.add(k, cmp.Or(in.Token.ClientID, in.Token.Subject), entry, size)
	}
	return value, err
}

// isRead reports whether the rules read a party of a token exchange that is there. Its claims differ each time.
func (in *TokenInput) isRead(read *keyParts) bool {
	return in.Subject != nil && read.exchangeSubject || in.Actor != nil && read.actor
}

// newCached returns a copy of a decision, and its bytes.
func newCached[T any](value T, copied func(*copier, T) T) (entry *cached, size int) {
	var c copier
	kept := copied(&c, value)
	return &cached{value: &kept}, c.size
}

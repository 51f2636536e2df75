package revocation

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Feed holds the revocations that an issuer publishes for doors that do not share its storage. It is public: it names
// tokens and clients by digests, which show a reader who knows a name whether it is revoked, but do not reveal the name.
// Times are in seconds since 1970.
type Feed struct {
	// Issuer is the issuer's URL, and IssuedAt the time at which the feed was signed.
	Issuer   string `json:"iss"`
	IssuedAt int64  `json:"iat"`
	// AsOf is the moment up to which the feed is complete: it has what any node had revoked by then.
	AsOf int64 `json:"as_of"`
	// Since is the moment from which on the feed has what became known, or 0 if it has everything.
	Since int64 `json:"since"`
	// Tokens holds the expiry of each revoked token by the digest of its jti.
	Tokens map[string]int64 `json:"tokens"`
	// Clients holds the clients whose tokens are revoked by the digest of their client_id.
	Clients map[string]FeedClient `json:"clients"`
	// Owned holds the iat of revoked tokens by the digest of their client_id and the digest of their jti, for clients that have
	// revoked many. With it, the revocation of such a client can take the place of those of its tokens. Earlier versions neither
	// write it nor read it.
	Owned map[string]map[string]int64 `json:"owned,omitempty"`
	// Keys holds the kid of each revoked key, and until when the issuer lists it.
	Keys map[string]int64 `json:"keys"`
}

// FeedClient revokes the tokens that a client was issued up to Before. The last of them expires at Expires.
type FeedClient struct {
	Before  int64 `json:"before"`
	Expires int64 `json:"exp"`
}

const (
	// FeedType is the typ of a signed feed.
	FeedType = "m2m-revocations+jwt"
	// feedWindow is how far back a feed reaches that does not have everything.
	feedWindow = 10 * time.Minute
	// FeedStep is how many seconds lie between the times since which there are feeds, so that doors share them.
	FeedStep = 30
	// MaxFeedSize is the largest signed feed that a door reads, in bytes. It is enough for some 500,000 entries.
	MaxFeedSize = 32 << 20
	// maxCopied is how many entries of one issuer a door keeps.
	maxCopied = 1_000_000
	// maxCopiedKeys is how many revoked keys of one issuer a door keeps.
	maxCopiedKeys = 10_000
	// manyOwned is how many tokens of a client are revoked one by one before a feed says that they are the client's. A door
	// keeps those that it read before until they are over, and clients that collapse together may do so often.
	manyOwned = 16
	// digestBytes is how much of a SHA-256 a digest has. That is enough to resist a second preimage.
	digestBytes = 16
)

// digest returns the digest that stands for a name in a feed.
func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:digestBytes])
}

func isDigest(text string) bool {
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(decoded) == digestBytes
}

// Feed returns what became known since a moment, by the clock of any node: it starts earlier by the skew that clocks may
// have. The feed has everything if since is zero, is too long ago, lies in the future or is from before this process
// started. The store must be open.
func (s *Store) Feed(since time.Time) *Feed {
	asOf := s.looked.Load() // read first, so that the set is at least as new
	now := s.now()
	f := &Feed{AsOf: time.Unix(0, asOf).Unix(), Tokens: make(map[string]int64), Clients: make(map[string]FeedClient)}
	set, recent, ok := s.since(since, now) // a large feed is built without the lock
	b := &feedBuilder{f, now, s.manyOwned()}
	if !ok {
		b.addSet(set)
		return f
	}
	f.Since = since.Unix()
	for _, l := range recent {
		b.add(l.entries)
	}
	return f
}

// feedBuilder fills a feed.
type feedBuilder struct {
	*Feed
	now  time.Time
	many map[string]string // the digests of clients that have revoked many tokens
}

// CoversSince reports whether Feed returns only what became known since then, and not everything.
func (s *Store) CoversSince(since time.Time) bool {
	_, _, ok := s.since(since, s.now())
	return ok
}

// since returns all that is known, and what of it became known since then. It is not ok if that is not recorded.
func (s *Store) since(since, now time.Time) (set *Set, recent []learned, ok bool) {
	s.adding.Lock()
	defer s.adding.Unlock()
	set = s.set.Load()
	from := since.Add(-clockMargin)
	if set == nil || since.Before(now.Add(-feedWindow)) || since.After(now) || from.Before(s.opened) {
		return set, nil, false
	}
	for _, l := range s.recent {
		if !l.at.Before(from) {
			recent = append(recent, l)
		}
	}
	return set, recent, true
}

func (f *feedBuilder) add(entries []Entry) {
	for _, e := range entries {
		switch {
		case over(e.Expires.Unix(), f.now):
		case e.ID != "":
			f.addToken(e.ID, e.single())
		default:
			f.addClient(e.ClientID, client{e.Before.Unix(), e.Expires.Unix()})
		}
	}
}

func (f *feedBuilder) addSet(set *Set) {
	if set == nil {
		return
	}
	for _, l := range []*layer{&set.old, &set.young} {
		for id, t := range l.tokens {
			if !over(t.expires, f.now) {
				f.addToken(id, t)
			}
		}
		for id, c := range l.clients {
			if !over(c.expires, f.now) {
				f.addClient(id, c)
			}
		}
	}
}

func (f *feedBuilder) addToken(id string, t single) {
	name := digest(id)
	f.Tokens[name] = max(f.Tokens[name], t.expires)
	owner := f.many[t.owner]
	if owner == "" {
		return
	}
	if f.Owned == nil {
		f.Owned = make(map[string]map[string]int64)
	}
	if f.Owned[owner] == nil {
		f.Owned[owner] = make(map[string]int64)
	}
	f.Owned[owner][name] = t.issued
}

func (f *feedBuilder) addClient(id string, c client) {
	name := digest(id)
	former := f.Clients[name]
	f.Clients[name] = FeedClient{max(former.Before, c.before), max(former.Expires, c.expires)}
}

// Encode returns the claims to sign. It fails on a feed that no door would accept: after the clock was set back, AsOf lies
// in the future until the next read.
func (f *Feed) Encode() ([]byte, error) {
	if f.AsOf > f.IssuedAt {
		return nil, errors.New("the last read lies in the future")
	}
	return json.Marshal(f)
}

// ParseFeed reads the claims of a feed whose signature was checked. It fails if they are of another issuer, if their times
// contradict each other or lie in the future, or if they are not well-formed.
func ParseFeed(claims []byte, issuer string, now time.Time) (*Feed, error) {
	f := new(Feed)
	if err := json.Unmarshal(claims, f); err != nil {
		return nil, errors.New("its claims are not those of a feed of revocations")
	}
	switch {
	case f.Issuer != issuer:
		return nil, errors.New("it is another issuer's")
	case f.AsOf <= 0 || f.Since < 0 || f.AsOf > f.IssuedAt:
		return nil, errors.New("its times contradict each other")
	case time.Unix(f.IssuedAt, 0).After(now.Add(maxAhead)):
		return nil, fmt.Errorf("it was issued more than %s in the future", maxAhead)
	}
	for name := range f.Tokens {
		if !isDigest(name) {
			return nil, errors.New("it names a token without a digest")
		}
	}
	for name := range f.Clients {
		if !isDigest(name) {
			return nil, errors.New("it names a client without a digest")
		}
	}
	if err := f.checkOwned(); err != nil {
		return nil, err
	}
	for kid := range f.Keys {
		if len(kid) > maxNameSize {
			return nil, fmt.Errorf("a key in it has a kid of more than %d bytes", maxNameSize)
		}
	}
	return f, nil
}

func (f *Feed) checkOwned() error {
	for owner, tokens := range f.Owned {
		if !isDigest(owner) {
			return errors.New("it names the client of a token without a digest")
		}
		for name, issued := range tokens {
			if _, ok := f.Tokens[name]; !ok || issued <= 0 {
				return errors.New("it has the client of a token that it does not revoke, or without its iat")
			}
		}
	}
	return nil
}

// entries returns the entries of the feed, named by digests.
func (f *Feed) entries() []Entry {
	entries := make([]Entry, 0, len(f.Tokens)+len(f.Clients))
	for owner, tokens := range f.Owned {
		for name, issued := range tokens {
			entries = append(entries, single{f.Tokens[name], issued, owner}.entry(name))
		}
	}
	for name, expires := range f.Tokens {
		entries = append(entries, OfToken(name, time.Unix(expires, 0)))
	}
	for name, c := range f.Clients {
		entries = append(entries, client{c.Before, c.Expires}.entry(name))
	}
	return entries
}

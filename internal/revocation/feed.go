package revocation

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Feed is what an issuer tells everybody of its revocations, so that doors which have no part in its storage
// can refuse what is revoked. Anybody may read it: tokens and clients are in it as digests, which tell who knows
// a name whether it is revoked, and nobody the names. Times are in seconds since 1970.
type Feed struct {
	// Issuer is the issuer's URL, and IssuedAt when this was said.
	Issuer   string `json:"iss"`
	IssuedAt int64  `json:"iat"`
	// AsOf is the moment of which it speaks: what any node had revoked by then is known.
	AsOf int64 `json:"as_of"`
	// Since says what is in it: all that became known since then; 0 is all there is.
	Since int64 `json:"since"`
	// Tokens are when revoked tokens expire, by the digest of their jti.
	Tokens map[string]int64 `json:"tokens"`
	// Clients are those whose tokens were revoked, by the digest of their client_id.
	Clients map[string]FeedClient `json:"clients"`
	// Keys are all that were given up before their time, by kid, and until when the issuer says so.
	Keys map[string]int64 `json:"keys"`
}

// FeedClient says that a client's tokens are revoked that were issued up to Before. The last of them has expired
// at Expires.
type FeedClient struct {
	Before  int64 `json:"before"`
	Expires int64 `json:"exp"`
}

const (
	// FeedType is the typ of a signed feed.
	FeedType = "m2m-revocations+jwt"
	// feedWindow is how far back a feed goes that is not of everything.
	feedWindow = 10 * time.Minute
	// FeedStep is how many seconds apart the moments are since which there are feeds, so that doors share few of them.
	FeedStep = 30
	// MaxFeedSize is the largest signed feed that a door reads, in bytes: some 500,000 entries.
	MaxFeedSize = 32 << 20
	// maxCopied is how many entries a door keeps of one issuer.
	maxCopied = 1_000_000
	// maxCopiedKeys is how many keys a door keeps of one issuer, which gives one up when it has leaked.
	maxCopiedKeys = 10_000
	// digestBytes is as much of SHA-256 as is kept: nobody finds another name of the same digest.
	digestBytes = 16
)

// digest is what stands for a name in a feed.
func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:digestBytes])
}

func isDigest(text string) bool {
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(decoded) == digestBytes
}

// Feed is what became known since that moment, by the clock of any node, and what the clocks of two nodes may be
// apart before it. It is all there is for the zero time, for one that is too long ago or lies in the future, and when
// this process has not run for so long. The store must be open.
func (s *Store) Feed(since time.Time) *Feed {
	asOf := s.looked.Load() // before what is known, which is then at least as new
	now := s.now()
	f := &Feed{AsOf: time.Unix(0, asOf).Unix(), Tokens: make(map[string]int64), Clients: make(map[string]FeedClient)}
	set, recent, recalled := s.since(since, now) // and a large feed keeps nobody waiting who revokes
	if !recalled {
		f.addSet(set, now)
		return f
	}
	f.Since = since.Unix()
	for _, l := range recent {
		f.add(l.entries, now)
	}
	return f
}

// CoversSince reports whether a feed since then has what is new alone, and not all there is.
func (s *Store) CoversSince(since time.Time) bool {
	_, _, recalled := s.since(since, s.now())
	return recalled
}

// since is all that is known, and what of it became known since then, if that can be told apart.
func (s *Store) since(since, now time.Time) (set *Set, recent []learnt, recalled bool) {
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

func (f *Feed) add(entries []Entry, now time.Time) {
	for _, e := range entries {
		switch expires := e.Expires.Unix(); {
		case over(expires, now):
		case e.ID != "":
			f.addToken(e.ID, expires)
		default:
			f.addClient(e.ClientID, client{e.Before.Unix(), expires})
		}
	}
}

func (f *Feed) addSet(set *Set, now time.Time) {
	if set == nil {
		return
	}
	for _, l := range []*layer{&set.old, &set.young} {
		for id, expires := range l.tokens {
			if !over(expires, now) {
				f.addToken(id, expires)
			}
		}
		for id, c := range l.clients {
			if !over(c.expires, now) {
				f.addClient(id, c)
			}
		}
	}
}

func (f *Feed) addToken(id string, expires int64) {
	name := digest(id)
	f.Tokens[name] = max(f.Tokens[name], expires)
}

func (f *Feed) addClient(id string, c client) {
	name := digest(id)
	former := f.Clients[name]
	f.Clients[name] = FeedClient{max(former.Before, c.before), max(former.Expires, c.expires)}
}

// Encode is the claims to sign. It fails on those that no door would take: until the next look they speak as of the future
// when the clock has been put back.
func (f *Feed) Encode() ([]byte, error) {
	if f.AsOf > f.IssuedAt {
		return nil, errors.New("the last look was in the future")
	}
	return json.Marshal(f)
}

// ParseFeed reads the claims of a feed whose signature was checked. It fails on those of another issuer, on times
// that cannot be, and on what has not the form of a feed.
func ParseFeed(claims []byte, issuer string, now time.Time) (*Feed, error) {
	f := new(Feed)
	if err := json.Unmarshal(claims, f); err != nil {
		return nil, errors.New("its claims are not those of a feed")
	}
	switch {
	case f.Issuer != issuer:
		return nil, errors.New("it is another issuer's")
	case f.AsOf <= 0 || f.Since < 0 || f.AsOf > f.IssuedAt:
		return nil, errors.New("its times cannot be")
	case time.Unix(f.IssuedAt, 0).After(now.Add(maxAhead)):
		return nil, fmt.Errorf("it was issued more than %s in the future", maxAhead)
	}
	for name := range f.Tokens {
		if !isDigest(name) {
			return nil, errors.New("a token in it is no digest")
		}
	}
	for name := range f.Clients {
		if !isDigest(name) {
			return nil, errors.New("a client in it is no digest")
		}
	}
	for kid := range f.Keys {
		if len(kid) > maxNameSize {
			return nil, fmt.Errorf("a key in it has a kid of more than %d bytes", maxNameSize)
		}
	}
	return f, nil
}

// entries are those of the feed, under digests.
func (f *Feed) entries() []Entry {
	entries := make([]Entry, 0, len(f.Tokens)+len(f.Clients))
	for name, expires := range f.Tokens {
		entries = append(entries, OfToken(name, time.Unix(expires, 0)))
	}
	for name, c := range f.Clients {
		entries = append(entries, client{c.Before, c.Expires}.entry(name))
	}
	return entries
}

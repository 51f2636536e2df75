package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
	"github.com/caddy-m2m/caddy-m2m/internal/folder"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// Records of identities say which clients have them, so that a lookup need not read every client. There is one record for
// each exact subject, and one for all patterns of an issuer. The clients that a record names are read, so a record may name
// clients that no longer have the identity. It always names those that have it: it is stored before a client that gets the
// identity, and after one that loses it. So a writer that dies in between leaves no client out.

// identityRecord is a record of an exact subject, or of the patterns of an issuer.
type identityRecord struct {
	Subject  string          `json:"subject,omitempty"`
	Clients  []string        `json:"clients,omitempty"`
	Patterns []storedPattern `json:"patterns,omitempty"`
}

type storedPattern struct {
	Pattern string `json:"pattern"`
	Client  string `json:"client"`
}

// maxPatterns is the greatest number of bytes of an issuer's patterns. Some storages take no more than 512 KiB as one object.
const maxPatterns = 384 << 10

// MarshalJSON implements json.Marshaler, which a put needs.
func (r *identityRecord) MarshalJSON() ([]byte, error) {
	type plain identityRecord
	return json.Marshal((*plain)(r))
}

func (r *identityRecord) isEmpty() bool { return len(r.Clients) == 0 && len(r.Patterns) == 0 }

// identityRef says which record an identity is in.
type identityRef struct {
	issuer, subject string
	pattern         bool
}

func refOf(i registry.Identity) identityRef {
	if i.SubjectPattern != "" {
		return identityRef{i.Issuer, i.SubjectPattern, true}
	}
	return identityRef{i.Issuer, i.Subject, false}
}

func (s *Store) identityFolder() string { return s.prefix + "/identities/" }

func (s *Store) isIdentityKey(key string) bool { return strings.HasPrefix(key, s.identityFolder()) }

func hashName(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// recordOf returns the key and the label of the record.
func (s *Store) recordOf(ref identityRef) (key, label string) {
	issuer := path.Join(s.identityFolder(), hashName(ref.issuer))
	if ref.pattern {
		return path.Join(issuer, "patterns"+recordSuffix), "patterns " + ref.issuer
	}
	name, err := recordName(ref.subject)
	if err != nil { // too long; no other name begins with "+" and a digit
		name = "+0" + hashName(ref.subject) + recordSuffix
	}
	return path.Join(issuer, hashName(registry.Bucket(ref.subject)), name), "identity " + ref.issuer + " " + ref.subject
}

// ClientsFor returns the clients that have an identity which covers the subject of the issuer. What was looked up lately is
// in memory, like clients.
func (s *Store) ClientsFor(ctx context.Context, issuer, subject string) ([]*registry.Client, error) {
	if subject == "" || len(subject) > registry.MaxSubject {
		return nil, nil
	}
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	// That a record does not exist is remembered for seconds only. So a flood of strangers, who wait for their share of the storage,
	// must not delay the patterns, of which each issuer has one record, and a subject that a pattern covers.
	patterns, err := s.identityRecord(ctx, s.known, identityRef{issuer, subject, true})
	if err != nil {
		return nil, err
	}
	ids, storage := patterns.covering(issuer, subject), s.unauthenticated
	if len(ids) > 0 {
		storage = s.known
	}
	exact, err := s.identityRecord(ctx, storage, identityRef{issuer, subject, false})
	if err != nil {
		return nil, err
	}
	for _, id := range exact.Clients {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	var clients []*registry.Client
	for _, id := range ids {
		client, err := s.Client(ctx, id)
		switch {
		case errors.Is(err, registry.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			clients = append(clients, client)
		}
	}
	return registry.Covering(clients, issuer, subject), nil
}

// covering returns the clients of the patterns that cover a subject.
func (r *identityRecord) covering(issuer, subject string) (ids []string) {
	for _, p := range r.Patterns {
		if !slices.Contains(ids, p.Client) && (registry.Identity{Issuer: issuer, SubjectPattern: p.Pattern}).Covers(issuer, subject) {
			ids = append(ids, p.Client)
		}
	}
	return ids
}

// identityRecord returns a record from memory or from the storage. It is empty if there is none.
func (s *Store) identityRecord(ctx context.Context, storage Lookups, ref identityRef) (*identityRecord, error) {
	key, label := s.recordOf(ref)
	if record := s.identities.get(key, s.now()); record != nil {
		return record, nil
	}
	return poll.Shared(ctx, &s.identifying, key, func(ctx context.Context) (*identityRecord, error) {
		generation := s.identities.generation.Load()
		object, err := s.load(ctx, storage, key)
		if err == nil && object == nil {
			err = s.checkAnswers(ctx, storage, key)
		}
		if err != nil {
			return nil, err
		}
		record := new(identityRecord)
		if object != nil {
			if record, err = decodeIdentities(key, label, object); err != nil {
				return nil, err
			}
		}
		s.identities.put(generation, key, record, s.now())
		return record, nil
	})
}

func decodeIdentities(key, label string, object []byte) (*identityRecord, error) {
	record := new(identityRecord)
	content, err := envelope.Open(label, object)
	if err == nil {
		err = json.Unmarshal(content, record)
	}
	if err != nil {
		return nil, broken(key, err)
	}
	return record, nil
}

// forgetIdentity makes the next lookup read a record again.
func (s *Store) forgetIdentity(key string) {
	s.identities.drop(key)
	s.identifying.Forget(key)
}

// readRecord reads a record from the storage, for a change.
func (s *Store) readRecord(ctx context.Context, ref identityRef) (*identityRecord, error) {
	key, label := s.recordOf(ref)
	record := new(identityRecord)
	content, err := loadRecord(ctx, s.storage, key, label)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return record, nil
	case err != nil:
		return nil, err
	}
	if err := json.Unmarshal(content, record); err != nil {
		return nil, broken(key, err)
	}
	return record, nil
}

// holders returns the ids of clients that may have an identity which conflicts with this one. For a pattern it lists the
// exact subjects that begin as the pattern does. It fails for a record that is broken, because it may be of another client.
func (s *Store) holders(ctx context.Context, i registry.Identity) (ids []string, err error) {
	ref := refOf(i)
	patterns, err := s.readRecord(ctx, identityRef{ref.issuer, "", true})
	if err != nil {
		return nil, err
	}
	for _, p := range patterns.Patterns {
		if registry.Overlap(p.Pattern, ref.subject) {
			ids = append(ids, p.Client)
		}
	}
	subjects := []string{ref.subject}
	if ref.pattern {
		if subjects, err = s.subjectsLike(ctx, ref); err != nil {
			return nil, err
		}
	}
	for _, subject := range subjects {
		exact, err := s.readRecord(ctx, identityRef{ref.issuer, subject, false})
		if err != nil {
			return nil, err
		}
		ids = append(ids, exact.Clients...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// subjectsLike returns the exact subjects that have records and that a pattern is about. Subjects that are too long for a
// key are in their records.
func (s *Store) subjectsLike(ctx context.Context, ref identityRef) (subjects []string, err error) {
	in := path.Join(s.identityFolder(), hashName(ref.issuer), hashName(registry.Bucket(ref.subject)))
	keys, err := folder.List(ctx, s.storage, in)
	if err != nil {
		return nil, unavailable("listing "+in, err)
	}
	for _, key := range keys {
		subject, ok := recordID(key)
		if !ok {
			if subject, err = s.subjectIn(ctx, key); err != nil {
				return nil, err
			}
		}
		if subject != "" && registry.Overlap(ref.subject, subject) {
			subjects = append(subjects, subject)
		}
	}
	return subjects, nil
}

// subjectIn returns the subject of a record whose key does not hold it.
func (s *Store) subjectIn(ctx context.Context, key string) (string, error) {
	object, err := s.storage.Load(ctx, key)
	if err != nil {
		return "", unavailable("loading "+key, err)
	}
	_, content, _ := strings.Cut(string(object), "\n")
	var record identityRecord
	if err := json.Unmarshal([]byte(content), &record); err != nil {
		return "", broken(key, err)
	}
	return record.Subject, nil
}

// withIdentities returns the puts, with those of the records of identities that they change before and after them.
func (s *Store) withIdentities(ctx context.Context, puts []put) ([]put, error) {
	changes := identityChanges{store: s, records: make(map[identityRef]*identityRecord)}
	var added, removed []identityRef
	for _, p := range puts {
		before, _ := p.before.(*registry.Client)
		after, _ := p.entry.(*registry.Client)
		had, has := refsOf(before), refsOf(after)
		for ref := range has {
			if !had[ref] {
				added = append(added, ref)
				if err := changes.add(ctx, ref, p.id); err != nil {
					return nil, err
				}
			}
		}
	}
	first, err := changes.puts(added)
	if err != nil {
		return nil, err
	}
	for _, p := range puts {
		before, _ := p.before.(*registry.Client)
		after, _ := p.entry.(*registry.Client)
		had, has := refsOf(before), refsOf(after)
		for ref := range had {
			if !has[ref] {
				removed = append(removed, ref)
				if err := changes.remove(ctx, ref, p.id); err != nil {
					return nil, err
				}
			}
		}
	}
	last, err := changes.puts(removed)
	return slices.Concat(first, puts, last), err
}

func refsOf(c *registry.Client) map[identityRef]bool {
	if c == nil || len(c.Identities) == 0 {
		return nil
	}
	refs := make(map[identityRef]bool, len(c.Identities))
	for _, i := range c.Identities {
		refs[refOf(i)] = true
	}
	return refs
}

// identityChanges are records as a change makes them.
type identityChanges struct {
	store   *Store
	records map[identityRef]*identityRecord // those of patterns have no subject
}

func (c *identityChanges) record(ctx context.Context, ref identityRef) (*identityRecord, error) {
	ref = ref.ofRecord()
	if record := c.records[ref]; record != nil {
		return record, nil
	}
	record, err := c.store.readRecord(ctx, ref)
	switch {
	case errors.Is(err, registry.ErrBroken): // only a removal comes here, because holders refuses what is added
		c.store.report("reading which clients have an identity", err)
		record = new(identityRecord)
	case err != nil:
		return nil, err
	}
	record.Subject = ref.subject
	c.records[ref] = record
	return record, nil
}

// ofRecord returns the same ref for all patterns of an issuer.
func (ref identityRef) ofRecord() identityRef {
	if ref.pattern {
		ref.subject = ""
	}
	return ref
}

func (c *identityChanges) add(ctx context.Context, ref identityRef, id string) error {
	record, err := c.record(ctx, ref)
	switch {
	case err != nil:
		return err
	case !ref.pattern && !slices.Contains(record.Clients, id):
		record.Clients = append(record.Clients, id)
	case ref.pattern && !slices.Contains(record.Patterns, storedPattern{ref.subject, id}):
		record.Patterns = append(record.Patterns, storedPattern{ref.subject, id})
	}
	return nil
}

func (c *identityChanges) remove(ctx context.Context, ref identityRef, id string) error {
	record, err := c.record(ctx, ref)
	switch {
	case err != nil:
		return err
	case ref.pattern:
		record.Patterns = slices.DeleteFunc(slices.Clone(record.Patterns), func(p storedPattern) bool { return p == storedPattern{ref.subject, id} })
	default:
		record.Clients = slices.DeleteFunc(slices.Clone(record.Clients), func(other string) bool { return other == id })
	}
	return nil
}

// puts returns the puts of the records of these identities, as they are now.
func (c *identityChanges) puts(refs []identityRef) ([]put, error) {
	puts, seen := make([]put, 0, len(refs)), make(map[identityRef]bool)
	for _, ref := range refs {
		if ref = ref.ofRecord(); seen[ref] {
			continue
		}
		seen[ref] = true
		key, label := c.store.recordOf(ref)
		p, record := put{key: key, label: label}, *c.records[ref]
		if !record.isEmpty() {
			p.entry = &record
		}
		if data, err := record.MarshalJSON(); err != nil || ref.pattern && len(data) > maxPatterns {
			return nil, invalid(fmt.Sprintf("the patterns of issuer %q take more than %d KiB: use fewer, or a policy", ref.issuer, maxPatterns>>10))
		}
		puts = append(puts, p)
	}
	return puts, nil
}

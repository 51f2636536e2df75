package bundle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/util"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
)

// longPollType is how a server says that it supports long polling (OPA's bundle service API).
const longPollType = "application/vnd.openpolicyagent.bundles"

// server is a bundle server, and what it has answered so far.
type server struct {
	client *http.Client
	store  keptBundle

	latest    Version  // the last bundle that the target took; only that is asked for with an ETag
	unusable  checksum // the last that is not a good bundle, which is not read again
	fault     error
	longPolls bool // whether the server supports long polling
	refused   bool // whether the target did not take what the server has now
}

// checksum identifies the content of a bundle.
type checksum [sha256.Size]byte

// Target receives what polling a server brings. Poll calls its methods one at a time.
type Target interface {
	// Take puts a bundle into force, or returns why it cannot. What it refuses it gets again with each answer that still
	// has it, because the cause may be temporary.
	Take(b *Bundle) error
	// Confirm is called when the server has the bundle that was taken last.
	Confirm()
	// Fail is called when no good bundle could be fetched.
	Fail(err error)
}

// Poll fetches the bundle of a server again and again until ctx is done. The current version is the one in force.
func (s *Source) Poll(ctx context.Context, current Version, target Target) {
	defer s.client.CloseIdleConnections()
	s.latest = current
	for failures := 0; ; {
		if err := s.poll(ctx, target); err != nil {
			failures++
			if ctx.Err() == nil {
				target.Fail(err)
			}
		} else {
			failures = 0
			s.store.save(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.delay(failures)):
		}
	}
}

// delay returns how long to wait. It is random between two bounds, so that nodes do not ask all at once, longer after
// each failure, and short if the server itself waits.
func (s *Source) delay(failures int) time.Duration {
	floor, least, most := s.cfg.pace.Floor, s.cfg.PollMin, s.cfg.PollMax
	switch {
	case failures > 0:
		return max(floor, util.DefaultBackoff(float64(floor), float64(most), failures))
	case s.longPolls && !s.refused: // it would send what is refused again and again
		return floor
	default:
		return max(floor, least+rand.N(most-least+1))
	}
}

func (s *Source) poll(ctx context.Context, target Target) error {
	doc, err := s.get(ctx)
	if err != nil {
		return explainFetch(err)
	}
	s.refused = false
	if doc.Unchanged {
		target.Confirm()
		return nil
	}
	sum := checksum(sha256.Sum256(doc.Body))
	switch sum {
	case s.latest.sum: // the server may not know ETags
		s.latest.ETag = doc.ETag
		target.Confirm()
		return nil
	case s.unusable:
		return s.fault
	}
	b, err := read(doc.Body, s.keys)
	if err != nil {
		s.unusable, s.fault = sum, explainAnswer(err, doc.Header.Get("Content-Type"))
		return s.fault
	}
	b.Version, b.Downloaded = Version{doc.ETag, sum}, time.Now()
	s.unusable = checksum{}
	s.longPolls = s.cfg.LongPoll > 0 && doc.Header.Get("Content-Type") == longPollType
	if ctx.Err() != nil {
		return nil
	}
	if target.Take(b) != nil {
		s.refused = true // the target reports why, and gets it again with the next answer
		return nil
	}
	s.latest = b.Version
	s.store.next(s.where, b, doc.Body)
	return nil
}

func (s *Source) get(ctx context.Context) (*fetch.Document, error) {
	header := s.cfg.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	prefer := "modes=snapshot" // no deltas
	if s.longPolls {
		prefer += ";wait=" + strconv.Itoa(int(s.cfg.LongPoll/time.Second))
	}
	header.Set("Prefer", prefer)
	return fetch.Get(ctx, s.client, fetch.Request{
		URL: s.cfg.Location, Header: header, ETag: s.latest.ETag, MaxSize: maxCompressed,
		AnswerTimeout: s.cfg.pace.Answer + s.cfg.LongPoll, BodyTimeout: s.cfg.pace.Body,
	})
}

// explainFetch says why there is no document in the words of an operator.
func explainFetch(err error) error {
	var status fetch.StatusError
	var network *net.OpError
	switch {
	case errors.As(err, &status):
		return fmt.Errorf("the server answered %d %s", int(status), http.StatusText(int(status)))
	case errors.Is(err, fetch.ErrTooLarge):
		return errLargeArchive
	case errors.As(err, &network): // without addresses and ports
		return fmt.Errorf("%s: %w", network.Op, network.Err)
	}
	return err
}

// explainAnswer adds the content type to the error of what is probably an error page.
func explainAnswer(err error, contentType string) error {
	const enough = 60
	if !errors.Is(err, errNotArchive) || contentType == "" {
		return err
	}
	return fmt.Errorf("%w, the server says it is %.*q", err, enough, contentType)
}

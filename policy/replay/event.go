package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// verdict is the kind of a line.
type verdict int

const (
	isDecision verdict = iota
	isOther
	isUnreadable
	isMasked // a decision that cannot be made again, because too much of it is masked
	isCut    // a decision whose line was too long and was cut
)

// event is a logged decision.
type event struct {
	id      string
	client  string
	masked  []string // JSON pointers of values that were removed or changed
	problem error

	token       *policy.TokenInput
	tokenResult tokenResult

	request       *policy.RequestInput
	requestResult requestResult
}

// tokenResult is the final result of a token decision.
type tokenResult struct {
	Granted  []string `json:"granted"`
	Rejected []struct {
		Scope  string `json:"scope"`
		Reason string `json:"reason"`
	} `json:"rejected"`
	BeyondSubject []struct {
		Scope string `json:"scope"`
	} `json:"beyond_subject"`
	Claims map[string]any `json:"claims"`
	TTL    int64          `json:"ttl"`
}

// requestResult is the result of a decision on a proxied request.
type requestResult struct {
	Denied   []string          `json:"denied"`
	Required []string          `json:"required"`
	Headers  map[string]string `json:"headers"`
}

// parseEvent reads a line that Caddy's logger or OPA wrote.
func parseEvent(text []byte) (*event, verdict) {
	var read struct {
		ID        string          `json:"decision_id"`
		Path      string          `json:"path"`
		Timestamp string          `json:"timestamp"`
		Input     json.RawMessage `json:"input"`
		Result    json.RawMessage `json:"result"`
		Erased    []string        `json:"erased"`
		Masked    []string        `json:"masked"`
		MaskError string          `json:"mask_error"`
		Cut       json.RawMessage `json:"cut"`
	}
	err := json.Unmarshal(text, &read)
	var wrong *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &wrong) {
		return &event{problem: errors.New("not JSON")}, isUnreadable
	}
	path := strings.Trim(read.Path, "/")
	switch {
	case path != policy.TokenPath && path != policy.RequestPath:
		return nil, isOther
	case wrong != nil:
		return &event{problem: fmt.Errorf("%s is a %s", wrong.Field, wrong.Value)}, isUnreadable
	case read.ID == "":
		return &event{problem: errors.New("decision_id is missing")}, isUnreadable
	}
	e := &event{id: read.ID, masked: append(read.Erased, read.Masked...)}
	switch {
	case read.MaskError != "":
		return nil, isMasked
	case !isAbsent(read.Cut): // the rest may look complete, and give another decision
		return nil, isCut
	}
	if e.problem = e.parse(path, read.Timestamp, read.Input, read.Result); e.problem == nil {
		return e, isDecision
	}
	if len(e.masked) > 0 {
		return nil, isMasked
	}
	return e, isUnreadable
}

func (e *event) parse(path, timestamp string, input, result json.RawMessage) error {
	at, err := time.Parse(time.RFC3339Nano, timestamp)
	if err != nil {
		return errors.New("timestamp is missing, or not as in RFC 3339")
	}
	switch {
	case isAbsent(input):
		return errors.New("input is missing")
	case isAbsent(result):
		return errors.New("result is missing")
	case path == policy.TokenPath:
		return e.parseToken(at, input, result)
	}
	return e.parseRequest(at, input, result)
}

func (e *event) parseToken(at time.Time, input, result json.RawMessage) error {
	in, err := policy.ParseTokenInput(input)
	if err != nil {
		return err
	}
	if err := policy.DecodeLogged("result", result, &e.tokenResult); err != nil {
		return err
	}
	if e.isMasked("/result/granted") || e.isMasked("/result/rejected") || e.isMasked("/input/scopes") {
		return errors.New("scopes are masked")
	}
	in.Time = at
	e.token, e.client = &in, in.Client.ID
	return e.checkScopes()
}

// checkScopes returns an error unless every requested scope was answered. A replay must not miss a loss.
func (e *event) checkScopes() error {
	answered := make(map[string]bool, len(e.token.Scopes))
	for _, raw := range e.tokenResult.Granted {
		answered[raw] = true
	}
	for _, r := range e.tokenResult.Rejected {
		answered[r.Scope] = true
	}
	for _, s := range e.token.Scopes {
		if !answered[s.Raw] {
			return errors.New("reading result: a scope is neither granted nor rejected")
		}
	}
	return nil
}

func (e *event) parseRequest(at time.Time, input, result json.RawMessage) error {
	in, err := policy.ParseRequestInput(input)
	if err != nil {
		return err
	}
	if err := policy.DecodeLogged("result", result, &e.requestResult); err != nil {
		return err
	}
	if e.isMasked("/result/denied") || e.isMasked("/result/required") || e.isMasked("/input/token/scopes") {
		return errors.New("the verdict is masked")
	}
	in.Time = at
	e.request, e.client = &in, in.Token.ClientID
	return nil
}

// isMasked reports whether a value at a pointer, above it or below it was changed.
func (e *event) isMasked(pointer string) bool {
	for _, masked := range e.masked {
		if masked == pointer || strings.HasPrefix(masked, pointer+"/") || strings.HasPrefix(pointer, masked+"/") {
			return true
		}
	}
	return false
}

func isAbsent(value json.RawMessage) bool {
	return len(value) == 0 || bytes.Equal(value, []byte("null"))
}

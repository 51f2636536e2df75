package policy

import (
	"errors"
	"strings"
	"testing"
)

// TestStatusShowsFailedDecisions has a rule whose type depends on data, so no check on load can tell that it is wrong.
func TestStatusShowsFailedDecisions(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": "package m2m.token\n\nttl contains input.client.attributes.team\n\nclaims.x := input.client.id\n"})
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	_, err := e.DecideToken(blocked(t), request(t, "book:1:read"))
	wantKind(t, err, Canceled)
	if f := e.Status().Failed; f.Count != 0 || f.Err != nil {
		t.Errorf("after a caller that went away: %+v", f)
	}
	for range 2 {
		_, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
		wantKind(t, err, WrongType)
	}
	s := e.Status()
	if f := s.Failed; f.Count != 2 || f.Err.Kind != WrongType || f.Last.IsZero() || !strings.Contains(f.Err.Error(), "a.rego:3") {
		t.Errorf("failed decisions: %+v", f)
	}
	if !s.Healthy || !e.Healthy() {
		t.Error("the policy that is in force is not the one in the files")
	}
	decision := decide(t, e, func() TokenInput { in := request(t, "book:1:read"); in.Client.Attributes = nil; return in }())
	if err := decision.UnfitClaims(errors.New("too large")); e.Status().Failed.Err != err {
		t.Errorf("claims that are too large: %+v", e.Status().Failed)
	}
	put(t, dir+"/a.rego", ttlFile(60))
	reload(t, e, true)
	if f := e.Status().Failed; f.Count != 0 {
		t.Errorf("after a reload: %+v", f)
	}
}

package api

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestErrors(t *testing.T) {
	for code, want := range map[Code]int{CodeInvalid: http.StatusBadRequest, CodeInUse: http.StatusConflict, CodeUnavailable: http.StatusServiceUnavailable} {
		if got := Errorf(code, "x").Status(); got != want {
			t.Errorf("%s has status %d, want %d", code, got, want)
		}
	}
	token := "eyJ" + strings.Repeat("a", 40) + ".eyJ" + strings.Repeat("b", 40) + "." + strings.Repeat("c", 43)
	err := &Error{Code: CodeInvalid, Message: token, Problems: []string{token}, UsedBy: []string{token}}
	if masked := err.Masked(); strings.Contains(masked.Message+masked.Problems[0]+masked.UsedBy[0], token) {
		t.Errorf("a token is in the error: %+v", masked)
	}
}

func TestClientState(t *testing.T) {
	for want, c := range map[string]Client{
		"enabled":  {Expires: time.Now().Add(time.Hour)},
		"expired":  {Expires: time.Now().Add(-time.Hour)},
		"disabled": {Disabled: true},
	} {
		if got := c.State(); got != want {
			t.Errorf("state is %s, want %s", got, want)
		}
	}
}

func TestScopeGrant(t *testing.T) {
	if s, deny, err := (ScopeGrant{Scope: "book:1:read", Effect: "deny"}).Parse(); err != nil || !deny || s.Raw != "book:1:read" {
		t.Errorf("parsed %+v, %t, %v", s, deny, err)
	}
	for _, g := range []ScopeGrant{{Scope: "a::b"}, {Scope: "book:1:read", Effect: "Deny"}} {
		if _, _, err := g.Parse(); err == nil {
			t.Errorf("%+v is accepted", g)
		}
	}
}

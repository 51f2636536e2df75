package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

// TestRefusedFilesAreTriedAgain refuses a policy for a reason that passes, without an edit. Here it is a door that expects
// rules for requests; a test that is too slow on a busy machine is another.
func TestRefusedFilesAreTriedAgain(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": ttlFile(60)})
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	now := time.Now()
	e.files.Now = func() time.Time { return now }
	e.requests.Store(true)
	put(t, dir+"/a.rego", ttlFile(61))
	_, err := e.Reload()
	wantParts(t, err, "no rule of package m2m.request")
	reload(t, e, false)
	e.requests.Store(false)
	reload(t, e, false) // not at once: tests may be slow
	if s := e.Status(); s.Healthy || s.Err == nil {
		t.Errorf("status %+v", s)
	}
	now = now.Add(time.Minute)
	reload(t, e, true)
	wantTTL(t, e, 61)
	if s := e.Status(); !s.Healthy || s.Err != nil {
		t.Errorf("status %+v", s)
	}
}

// TestRefusedFilesAreTriedLessAndLess counts the attempts of a day.
func TestRefusedFilesAreTriedLessAndLess(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": ttlFile(60)})
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	now := time.Now()
	e.files.Now = func() time.Time { return now }
	put(t, dir+"/a.rego", "package m2m.token\n\nttl contains x\n")
	_, err := e.Reload()
	wantParts(t, err, "a.rego:3")
	attempts, last := 0, e.refused.next
	for range 24 * 60 {
		now = now.Add(time.Minute)
		reload(t, e, false) // and reports it once
		if e.refused.next != last {
			attempts, last = attempts+1, e.refused.next
		}
	}
	if attempts < 24*4 || attempts > 24*4+10 {
		t.Errorf("%d attempts", attempts)
	}
}

// TestRefusedBundleIsTriedAgain gives the engine the same bundle until it is good. The bundle of the server stays refused
// when the server fails meanwhile, and not when it has the accepted one again.
func TestRefusedBundleIsTriedAgain(t *testing.T) {
	bundleOf := func(seconds int) *bundle.Bundle {
		return &bundle.Bundle{Files: []files.File{{Name: "a.rego", Path: "a.rego", Content: []byte(ttlFile(seconds))}}}
	}
	e := load(t, Config{Bundle: &bundle.Config{Location: "https://policy.example.com/m2m.tar.gz"}, Timeout: generous})
	if s := e.Status(); s.Healthy || s.Err == nil || !strings.Contains(s.Err.Error(), "no policy bundle has come yet") {
		t.Errorf("status before the first bundle: %+v", s)
	}
	now := time.Now()
	e.files.Now = func() time.Time { return now }
	if err := e.bundle.Take(bundleOf(60)); err != nil {
		t.Fatal(err)
	}
	reload(t, e, true)
	e.requests.Store(true)
	for range 3 {
		if err := e.bundle.Take(bundleOf(61)); err == nil {
			t.Fatal("it was taken")
		}
	}
	_, err := e.Reload()
	wantParts(t, err, "no rule of package m2m.request")
	reload(t, e, false)
	e.bundle.Confirm()
	if s := e.Status(); !s.Healthy {
		t.Errorf("with the old bundle: status %+v", s)
	}
	e.bundle.Fail(fmt.Errorf("the server answered 503"))
	_, err = e.Reload()
	wantParts(t, err, "503")
	e.requests.Store(false)
	now = now.Add(time.Minute)
	if err := e.bundle.Take(bundleOf(61)); err != nil {
		t.Fatal(err)
	}
	reload(t, e, true)
	wantTTL(t, e, 61)
	if s := e.Status(); !s.Healthy || s.Err != nil {
		t.Errorf("status %+v", s)
	}
}

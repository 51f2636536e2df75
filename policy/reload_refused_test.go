package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

// testFrom is a test that passes from a time on, as one does that was too slow on a busy machine.
func testFrom(at time.Time) string {
	return fmt.Sprintf("package a_test\n\ntest_time if time.now_ns() > %d\n", at.UnixNano())
}

// TestRefusedFilesAreTriedAgain refuses a policy for a reason that passes, without an edit.
func TestRefusedFilesAreTriedAgain(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": ttlFile(60), "a_test.rego": testFrom(time.Unix(0, 0))})
	e := load(t, Config{Paths: []string{dir}, Verify: true, Timeout: generous})
	now := time.Now()
	e.files.Now = func() time.Time { return now }
	passes := time.Now().Add(500 * time.Millisecond)
	put(t, dir+"/a.rego", ttlFile(61))
	put(t, dir+"/a_test.rego", testFrom(passes))
	_, err := e.Reload()
	wantParts(t, err, "test data.a_test.test_time fails")
	reload(t, e, false)
	time.Sleep(time.Until(passes))
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
	passes := time.Now().Add(500 * time.Millisecond)
	bundleOf := func(seconds int, at time.Time) *bundle.Bundle {
		return &bundle.Bundle{Files: []files.File{
			{Name: "a.rego", Path: "a.rego", Content: []byte(ttlFile(seconds))},
			{Name: "a_test.rego", Path: "a_test.rego", Content: []byte(testFrom(at))},
		}}
	}
	e := load(t, Config{Bundle: &bundle.Config{Location: "https://policy.example.com/m2m.tar.gz"}, Verify: true, Timeout: generous})
	if s := e.Status(); s.Healthy || s.Err == nil || !strings.Contains(s.Err.Error(), "no policy bundle has come yet") {
		t.Errorf("status before the first bundle: %+v", s)
	}
	now := time.Now()
	e.files.Now = func() time.Time { return now }
	if err := e.bundle.Take(bundleOf(60, time.Unix(0, 0))); err != nil {
		t.Fatal(err)
	}
	reload(t, e, true)
	for range 3 {
		if err := e.bundle.Take(bundleOf(61, passes)); err == nil {
			t.Fatal("it was taken")
		}
	}
	_, err := e.Reload()
	wantParts(t, err, "test data.a_test.test_time fails")
	reload(t, e, false)
	e.bundle.Confirm()
	if s := e.Status(); !s.Healthy {
		t.Errorf("with the old bundle: status %+v", s)
	}
	e.bundle.Fail(fmt.Errorf("the server answered 503"))
	_, err = e.Reload()
	wantParts(t, err, "503")
	time.Sleep(time.Until(passes))
	now = now.Add(time.Minute)
	if err := e.bundle.Take(bundleOf(61, passes)); err != nil {
		t.Fatal(err)
	}
	reload(t, e, true)
	wantTTL(t, e, 61)
	if s := e.Status(); !s.Healthy || s.Err != nil {
		t.Errorf("status %+v", s)
	}
}

//go:build unix

package cluster_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// pipes is a folder like another one, with a pipe in the place of each file: who opens one waits until somebody else
// does, as for a share whose server is unreachable.
type pipes struct{ folder, like string }

func newPipes(t testing.TB, like string) *pipes {
	t.Helper()
	p := &pipes{filepath.Join(t.TempDir(), "pipes"), like}
	err := filepath.WalkDir(like, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside := p.folder + strings.TrimPrefix(name, like)
		if entry.IsDir() {
			return os.Mkdir(inside, 0o700)
		}
		return syscall.Mkfifo(inside, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// add adds the pipe of an object of the issuer that may not be there.
func (p *pipes) add(t testing.TB, object string) {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(p.folder, "m2m", "*"))
	if len(found) != 1 {
		t.Fatalf("the issuers are %s", found)
	}
	name := filepath.Join(found[0], object)
	err := os.MkdirAll(filepath.Dir(name), 0o700)
	if err == nil {
		err = syscall.Mkfifo(name, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
}

// answer has everybody who waits go on, with what the file is that the pipe stands for.
func (p *pipes) answer() {
	_ = filepath.WalkDir(p.folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, _ := os.ReadFile(p.like + strings.TrimPrefix(name, p.folder))
		pipe, err := syscall.Open(name, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil { // a request waits
			_, _ = syscall.Write(pipe, content)
			_ = syscall.Close(pipe)
		}
		return nil
	})
}

// threads returns the number of operating system threads of the process. Each blocked file operation takes one.
func (n *node) threads() int {
	n.t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", n.process.Process.Pid))
	if err != nil {
		n.t.Skip("how many threads there are is told by Linux alone")
	}
	return len(all)
}

// patient is a client with a very long timeout.
var patient = &http.Client{Timeout: 5 * time.Minute, Transport: plain.Transport}

// TestStorageThatHangs checks a node whose storage neither answers nor fails, like a share whose server is unreachable. No
// request waits forever, waiting requests do not accumulate, the process can stop, and everything recovers when the storage
// answers.
func TestStorageThatHangs(t *testing.T) {
	servertest.SkipUnlessLong(t)
	t.Parallel()
	const strangers = 300
	c := newCluster(t, "", nil).start()
	bot, other := c.client("ci-bot"), c.client("other")
	good, revoked := bot.mustToken(t, c.a.url), bot.mustToken(t, c.a.url)
	within(t, 10*time.Second, "B knows the client", bot.answered(c.b, 200))
	bot.about(t, c.a.url, "revoke", revoked)
	within(t, 10*time.Second, "B refuses what is revoked", func() bool { return c.b.atDoor(revoked).status == 401 })
	hanging := newPipes(t, c.storage)
	t.Cleanup(hanging.answer)
	for i := range strangers {
		hanging.add(t, fmt.Sprintf("registry/clients/stranger-%d.json", i))
	}
	hanging.add(t, "usage/ci-bot.json")
	c.mount(hanging.folder)

	m := c.meanwhile(bot, other)

	var waiting sync.WaitGroup
	refused := func(what string, request func() (answer, error)) {
		waiting.Go(func() {
			begun := time.Now()
			if a, err := request(); err != nil || a.status != http.StatusServiceUnavailable {
				t.Errorf("%s, after %s: %s, %v", what, time.Since(begun), a, err)
			}
		})
	}
	admin := func(path, body string) func() (answer, error) {
		return func() (answer, error) {
			return ask(patient, "POST", "http://"+c.b.admin+"/m2m"+path, body, "Content-Type", "application/json")
		}
	}
	refused("a change", admin("/resources", `{"code": "film", "actions": {"read": ""}}`))
	refused("a rotation", admin("/keys/rotate", `{"now": true, "reason": "leaked"}`))
	refused("a client that is not in memory", func() (answer, error) { return other.token(patient, c.b.url) })
	for range 3 { // while it is looked for, and later
		refused("a token of a key it cannot see", func() (answer, error) {
			return ask(patient, "GET", c.b.url+"/books/1", "", "Authorization", "Bearer "+m.fresh)
		})
	}
	for i := range strangers {
		stranger := secret{fmt.Sprint("stranger-", i), other.secret}
		refused("one of many clients that are not in memory", func() (answer, error) { return stranger.token(patient, c.b.url) })
	}
	serves := func() bool {
		a, err := bot.decided(c.b.url)
		if err != nil || a.status != 200 || c.b.atDoor(good).status != 200 || c.b.atDoor(revoked).status != 401 {
			t.Errorf("it does not recover: %s, %v", a, err)
		}
		return !t.Failed()
	}
	took := within(t, 2*time.Minute, "B says that it has lost its storage", func() bool {
		return !serves() || c.b.healthy(false, "registry", "keys")
	})
	t.Logf("it says so after %s", took.Round(time.Second))
	waiting.Wait()
	serves()
	refused("a token of a key it cannot see", func() (answer, error) {
		return ask(patient, "GET", c.b.url+"/books/1", "", "Authorization", "Bearer "+m.fresh)
	})
	waiting.Wait()
	if n := c.b.threads(); n > 200 {
		t.Errorf("%d threads wait for the storage", n)
	}
	if a, err := ask(patient, "POST", "http://"+c.b.admin+"/load", string(c.b.config), "Content-Type", "application/json", "Cache-Control", "must-revalidate"); err != nil || a.status == 200 {
		t.Errorf("a config that cannot read its keys: %s, %v", a, err)
	}
	serves()

	c.mount(c.storage)
	back := time.Now()
	within(t, time.Minute, "B is healthy again", func() bool {
		hanging.answer()
		return c.b.healthy(true, stored...)
	})
	m.awaitAt(c.b)
	t.Logf("it has caught up %s after the storage was back", time.Since(back).Round(100*time.Millisecond))
	bot.mustToken(t, c.b.url)
	c.mount(hanging.folder)
	c.b.stop() // without recording the time
}

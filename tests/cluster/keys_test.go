package cluster_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// keyWatch sees every key that is ever stored, and what each token was signed with.
type keyWatch struct {
	storage string
	mu      sync.Mutex
	begins  map[string]time.Time // when each signs
	tokens  []issued
}

// issued is a token that was asked for and had between two moments.
type issued struct {
	kid       string
	from, got time.Time
}

// watchKeys looks at the folder until the test ends or stop is called. Each key is there for longer than it takes to look.
func watchKeys(t *testing.T, storage string) (w *keyWatch, stop func()) {
	w = &keyWatch{storage: storage, begins: make(map[string]time.Time)}
	ended := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			w.look()
			select {
			case <-ended:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	stop = sync.OnceFunc(func() { close(ended); looking.Wait() })
	t.Cleanup(stop)
	return w, stop
}

func (w *keyWatch) look() {
	found, _ := filepath.Glob(filepath.Join(w.storage, "m2m", "*", "keys", "*.json"))
	for _, file := range found {
		var key struct {
			SignsFrom time.Time `json:"signs_from"`
		}
		object, err := os.ReadFile(file)
		_, content, _ := bytes.Cut(object, []byte("\n")) // after the line with the checksum
		if err != nil || json.Unmarshal(content, &key) != nil {
			continue // it was deleted by then
		}
		w.mu.Lock()
		w.begins[strings.TrimSuffix(filepath.Base(file), ".json")] = key.SignsFrom
		w.mu.Unlock()
	}
}

func (w *keyWatch) issued(kid string, from, got time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens = append(w.tokens, issued{kid, from, got})
}

// check holds the cluster to one key in each period, and every token, of whichever node, to the one key whose time it was.
func (w *keyWatch) check(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var kids []string
	for kid := range w.begins {
		kids = append(kids, kid)
	}
	slices.SortFunc(kids, func(a, b string) int { return w.begins[a].Compare(w.begins[b]) })
	ends := make(map[string]time.Time)
	var longest time.Duration
	for n, kid := range kids[1:] {
		since := w.begins[kid].Sub(w.begins[kids[n]])
		if ends[kids[n]] = w.begins[kid]; since < period {
			t.Errorf("key %s signs %s after the one before it", kid, since)
		}
		longest = max(longest, since)
	}
	for _, token := range w.tokens {
		begin, known := w.begins[token.kid]
		end, over := ends[token.kid]
		if !known || token.got.Before(begin) || over && token.from.After(end) {
			t.Errorf("key %s, which signs from %s to %s, has signed between %s and %s", token.kid, begin, end, token.from, token.got)
			break
		}
	}
	t.Logf("%d keys were made, the next one %s after another at most, for a period of %s", len(kids), longest.Round(time.Millisecond), period)
}

package registry

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
)

// largeJSON returns a file with n clients, each of which has two secrets and three grants.
func largeJSON(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"clients":{`)
	for i := range n {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, `"client-%d":{"description":"Client number %d","attributes":{"team":"t%d"},"token_ttl":"5m",`, i, i, i%100)
		fmt.Fprintf(&b, `"secrets":[{"id":"s1","sha256":"%s","expires":"2030-01-01T00:00:00Z"},{"id":"s2","sha256":"%s"}],`, hashOf(2*i), hashOf(2*i+1))
		b.WriteString(`"grants":[{"resource":"book","identifiers":["*"],"actions":["read"]},` +
			`{"resource":"shop","identifiers":["1","2"],"actions":["read","edit"]},` +
			`{"resource":"book","identifiers":["secret-*"],"actions":["*"],"effect":"deny"}]}`)
	}
	b.WriteString(`},"resources":{"book":{"actions":{"read":"","edit":""}},"shop":{"actions":{"read":"","edit":""}}}}`)
	return b.Bytes()
}

// raceDetector makes everything many times slower.
var raceDetector bool

func TestLoad100kClients(t *testing.T) {
	n := 100_000
	if testing.Short() || raceDetector {
		n = 5_000
	}
	s, err := Parse("r.json", largeJSON(n))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1, n / 2, n - 1} {
		id := fmt.Sprintf("client-%d", i)
		c, err := s.Client(t.Context(), id)
		if err != nil || c.ID != id || c.Secrets[1].SHA256 != sum(fmt.Sprintf("secret number %d", 2*i+1)) || len(c.Grants) != 3 {
			t.Errorf("%s: %+v, %v", id, c, err)
		}
	}
	if len(s.clients) != n {
		t.Errorf("%d clients", len(s.clients))
	}
}

func BenchmarkLoad100k(b *testing.B) {
	data := largeJSON(100_000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var s *Snapshot
	for b.Loop() {
		var err error
		if s, err = Parse("r.json", data); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-kept")
	runtime.KeepAlive(s)
	runtime.KeepAlive(data)
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			s, err := Parse("r.json", largeJSON(n))
			if err != nil {
				b.Fatal(err)
			}
			id, ctx := fmt.Sprintf("client-%d", n-1), b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Client(ctx, id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package oauth

import (
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// TestParseFormProperty compares with url.ParseQuery.
func TestParseFormProperty(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	parts := []string{"&", "&", "=", "=", "scope", "resource", "x", "a b", "+", "%20", "%2", "%zz", ";", "é", "\xff", "%00", "client_secret"}
	for range 50_000 {
		var b strings.Builder
		for range r.IntN(12) {
			if n := r.IntN(40); n < len(parts) {
				b.WriteString(parts[n])
			} else {
				b.WriteString(parts[r.IntN(8)])
			}
		}
		body := b.String()
		want, wantErr := url.ParseQuery(body)
		got, fault := parseForm([]byte(body))
		if (fault == nil) != (wantErr == nil) {
			t.Fatalf("seed %d: %q: %v, want %v", seed, body, fault, wantErr)
		}
		if fault != nil {
			continue
		}
		names := make(map[string]bool)
		for _, p := range got {
			names[p.name] = true
		}
		if len(names) != len(want) {
			t.Fatalf("seed %d: %q: %v, want %v", seed, body, got, want)
		}
		for name, values := range want {
			if !slices.Equal(got.all(name), values) || got.get(name) != want.Get(name) {
				t.Fatalf("seed %d: %q: %q is %q, want %q", seed, body, name, got.all(name), values)
			}
		}
	}
}

// TestReadAll: the length is a hint only.
func TestReadAll(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 2047, 2048, 2049, 60_000} {
		text := strings.Repeat("x", size)
		for _, length := range []int64{-1, 0, int64(size), int64(size) - 1, int64(size) + 1, 64 << 10} {
			for _, reader := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
				got, err := readAll(reader, length)
				if err != nil || string(got) != text {
					t.Fatalf("size %d, length %d: read %d bytes, %v", size, length, len(got), err)
				}
				if cap(got) > 2*max(size, maxHint)+512 {
					t.Errorf("size %d, length %d: a buffer of %d bytes", size, length, cap(got))
				}
			}
		}
	}
	if _, err := readAll(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("xx"))), 2); err != iotest.ErrTimeout {
		t.Error(err)
	}
}

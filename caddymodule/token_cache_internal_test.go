package caddymodule

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// TestTokenMemoriesAreFreed: a config shares the memory of its predecessor, and the last one with a door of the issuer frees
// it. After 300 reloads there are as many goroutines, and as much memory is in use, as before.
func TestTokenMemoriesAreFreed(t *testing.T) {
	key, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	config := func(size int64) *App {
		set, err := metrics.New(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		return &App{TokenCache: size, memories: make(map[string]*tokenMemory), metrics: set}
	}
	memoryOf := func(a *App) *token.Memory {
		memory, err := a.tokenMemory("https://auth.example.com")
		if err != nil {
			t.Fatal(err)
		}
		return memory
	}
	end := func(a *App) {
		if err := a.releaseTokenMemories(); err != nil {
			t.Fatal(err)
		}
	}
	goroutines, before := runtime.NumGoroutine(), uint64(0)
	for n := range 300 {
		first, second, resized := config(0), config(0), config(minTokenCache)
		memory := memoryOf(first)
		for i := range 50 {
			raw, err := key.Sign(fmt.Appendf(nil, `{"n":%d}`, i))
			if err != nil {
				t.Fatal(err)
			}
			memory.Minted(raw, key, fmt.Sprint("client-", i%10))
		}
		if memory.Use().Minted != 50 || memoryOf(second) != memory || memoryOf(second) != memory || memoryOf(resized) == memory {
			t.Fatal("configs of one size do not share the memory, or others do")
		}
		end(first)
		if third := config(0); memoryOf(third) != memory {
			t.Fatal("the memory did not outlive its first config")
		} else {
			end(third)
		}
		end(second)
		end(resized)
		count := 0
		tokenMemories.Range(func(any, any) bool { count++; return true })
		if count > 0 {
			t.Fatalf("%d memories are left", count)
		}
		if n == 20 {
			before = heapInUse()
		}
	}
	if after := heapInUse(); after > before+1<<20 {
		t.Errorf("%d bytes are in use, and %d were", after, before)
	}
	for range 100 {
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines run, and %d did", runtime.NumGoroutine(), goroutines)
}

func heapInUse() uint64 {
	var stats runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

package caddymodule

import (
	"cmp"
	"fmt"
	"math"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Bounds and default of TokenCache.
const (
	minTokenCache     = 1 << 20
	maxTokenCache     = 1 << 30
	defaultTokenCache = 32 << 20
)

// tokenMemories are shared by all configs of the process, so that a reload does not have every token verified again. A memory
// has no settings of its doors, and keeps no verdict of theirs.
var tokenMemories = caddy.NewUsagePool()

type tokenMemoryKey struct {
	issuer string
	bytes  int64
}

// tokenMemory is a memory in the pool.
type tokenMemory struct {
	*token.Memory
	key tokenMemoryKey
}

// Destruct implements caddy.Destructor.
func (*tokenMemory) Destruct() error { return nil }

// tokenMemory returns the memory of an issuer whose tokens a door takes. It is called during provisioning only.
func (a *App) tokenMemory(issuer string) (*token.Memory, error) {
	if memory, ok := a.memories[issuer]; ok {
		return memory.Memory, nil
	}
	key := tokenMemoryKey{issuer, cmp.Or(a.TokenCache, defaultTokenCache)}
	pooled, _, err := tokenMemories.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &tokenMemory{token.NewMemory(int(key.bytes)), key}, nil
	})
	if err != nil {
		return nil, err
	}
	memory := pooled.(*tokenMemory)
	a.memories[issuer] = memory
	return memory.Memory, a.metrics.CollectTokenCache(issuer, func() (verified, minted, bytes int) {
		use := memory.Use()
		return use.Verified, use.Minted, use.Bytes
	})
}

// releaseTokenMemories frees the memories that no other config uses.
func (a *App) releaseTokenMemories() error {
	for _, memory := range a.memories {
		if _, err := tokenMemories.Delete(memory.key); err != nil {
			return err
		}
	}
	return nil
}

func checkTokenCache(bytes int64) error {
	if bytes < minTokenCache || bytes > maxTokenCache {
		return fmt.Errorf("token_cache is %s; it is at least %s and at most %s",
			humanize.IBytes(uint64(max(bytes, 0))), humanize.IBytes(minTokenCache), humanize.IBytes(maxTokenCache))
	}
	return nil
}

func (a *App) parseTokenCache(d *caddyfile.Dispenser) error {
	if a.TokenCache != 0 {
		return d.Err("token_cache is given twice")
	}
	var text string
	if err := oneArg(&text)(d); err != nil {
		return err
	}
	size, err := humanize.ParseBytes(text)
	if err != nil {
		return d.Errf("token_cache %q is not a size, such as 64MiB", text)
	}
	a.TokenCache = int64(min(size, math.MaxInt64))
	return located(d, checkTokenCache(a.TokenCache))
}

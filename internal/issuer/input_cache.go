package issuer

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// The bounds of the parts of inputs that are kept, by what weigh estimates.
const (
	maxClientInputs   = 64 << 20
	maxResourceInputs = 16 << 20
	maxClientKeys     = 64 << 20
)

// policyInputs keep what policies see of clients and resources, and the keys of clients, so that it is built once for each version. A version is
// the registry's object: registries return the same pointer until the object changes.
type policyInputs struct {
	clients   inputCache[clientVersion, *policy.Client]
	resources inputCache[*registry.Resource, *policy.Resource]
	keys      inputCache[*registry.Client, *token.KeySet] // of clients, not for policies
}

// clientVersion is a version of a client with the method by which it authenticated, which policies see, too.
type clientVersion struct {
	client *registry.Client
	method string
}

func newPolicyInputs() policyInputs {
	return policyInputs{
		clients:   newInputCache[clientVersion, *policy.Client](maxClientInputs),
		resources: newInputCache[*registry.Resource, *policy.Resource](maxResourceInputs),
		keys:      newInputCache[*registry.Client, *token.KeySet](maxClientKeys),
	}
}

// inputCache keeps values by the pointer that they were made of, and drops those that were used least recently. It holds the
// pointer, so that no other object can have its address.
type inputCache[K comparable, V any] struct {
	mu   *sync.Mutex
	kept *simplelru.LRU[K, weighed[V]]
	free *int
}

type weighed[V any] struct {
	value  V
	weight int
}

func newInputCache[K comparable, V any](limit int) inputCache[K, V] {
	c := inputCache[K, V]{mu: new(sync.Mutex), free: &limit}
	evicted := func(_ K, w weighed[V]) { limit += w.weight }
	c.kept, _ = simplelru.NewLRU(limit, evicted) // each weighs at least 1; it fails only for a size below 1
	return c
}

// get returns the value of a key, which build makes if it is not kept. All callers get the same value while it is kept.
func (c inputCache[K, V]) get(key K, build func() V, weigh func(V) int) V {
	c.mu.Lock()
	found, ok := c.kept.Get(key)
	c.mu.Unlock()
	if ok {
		return found.value
	}
	built := weighed[V]{value: build()}
	built.weight = weigh(built.value)
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.kept.Get(key); ok {
		return found.value
	}
	c.kept.Add(key, built)
	for *c.free -= built.weight; *c.free < 0; {
		c.kept.RemoveOldest()
	}
	return built.value
}

// weighClient and weighResource estimate the bytes of a value with the term that it becomes.
func weighClient(c *policy.Client) int {
	weight := 2000 + len(c.ID) + len(c.Description) + weighTexts(c.Audiences) + weighTexts(c.Networks) + weighJSON(c.Attributes)
	for _, g := range c.Grants {
		weight += weighGrant(g)
	}
	return weight
}

func weighGrant(g scope.Grant) int {
	return 1000 + len(g.Resource) + weighTexts(g.Identifiers) + weighTexts(g.Actions)
}

func weighResource(r *policy.Resource) int {
	return 1000 + len(r.Audience) + weighTexts(r.Actions) + weighJSON(r.Attributes)
}

func weighTexts(texts []string) int {
	weight := 0
	for _, text := range texts {
		weight += 100 + len(text)
	}
	return weight
}

func weighJSON(value any) int {
	weight := 100
	switch value := value.(type) {
	case string:
		weight += len(value)
	case []any:
		for _, element := range value {
			weight += weighJSON(element)
		}
	case map[string]any:
		for name, member := range value {
			weight += 200 + len(name) + weighJSON(member)
		}
	}
	return weight
}

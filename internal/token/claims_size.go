package token

import (
	stdjson "encoding/json"
	"unsafe"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// These are the bytes that claims take besides their texts on 64-bit machines, with the rounding of Go's allocator and the
// free room of maps. They are upper estimates.
const (
	// resultSize is the result of a signature check with the thumbprint of the key, which may be the last to refer to it.
	resultSize = 128
	// boxSize is a value in an interface: a pointer to the header of a text, and the header.
	boxSize = 32
	// mapSize is an empty map, and smallMapSize one of up to smallMap members. memberSize is what each
	// member takes of a larger one.
	mapSize                = 64
	smallMapSize, smallMap = 352, 8
	memberSize             = 96
)

// heapSize returns the bytes of memory that a remembered token takes, without its place in the memory.
func (f *facts) heapSize() int {
	size := int(unsafe.Sizeof(*f)) + len(f.checks)*resultSize
	for _, text := range []text{f.header.Alg, f.header.Kid, f.header.Typ} {
		size += textSize(string(text))
	}
	size += mapOf(len(f.header.Others))
	for name := range f.header.Others {
		size += textSize(name)
	}
	return size + size/8 + f.claims.heapSize()
}

// heapSize returns the bytes of memory that claims take. The length of a token is a poor estimate: a scope of two bytes takes
// 64, and an object of one member more than 300.
func (c *Claims) heapSize() int {
	size := int(unsafe.Sizeof(*c)) + cap(c.Scopes)*int(unsafe.Sizeof(scope.Scope{})) + cap(c.Audience)*int(unsafe.Sizeof(""))
	if text, _ := c.All["scope"].(string); text != c.Scope {
		size += textSize(c.Scope) // it was joined from an array
	}
	size += valueSize(c.All)
	return size + size/8 // large blocks are rounded by up to an eighth
}

func valueSize(value any) int {
	switch value := value.(type) {
	case string:
		return boxSize + textSize(value)
	case stdjson.Number:
		return boxSize + textSize(string(value))
	case []any:
		size := boxSize + cap(value)*int(unsafe.Sizeof(any(nil)))
		for _, element := range value {
			size += valueSize(element)
		}
		return size
	case map[string]any:
		size := mapOf(len(value))
		for name, member := range value {
			size += textSize(name) + valueSize(member)
		}
		return size
	}
	return 0 // true, false and null take nothing besides the interface
}

// mapOf returns the bytes of a map without what its members refer to.
func mapOf(members int) int {
	switch {
	case members > smallMap:
		return smallMapSize + members*memberSize
	case members > 0:
		return smallMapSize
	}
	return mapSize
}

// textSize returns the bytes of a text without its header. The allocator's classes are at least 16 bytes apart.
func textSize(text string) int { return len(text)&^15 + 16 }

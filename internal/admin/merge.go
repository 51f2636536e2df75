package admin

import (
	"encoding/json"
	"maps"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// merge applies a JSON merge patch (RFC 7396 §2): members of the patch replace those of the target, objects are merged, and
// null removes a member.
func merge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged := make(map[string]any)
	if members, ok := target.(map[string]any); ok {
		maps.Copy(merged, members)
	}
	for name, value := range changes {
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = merge(merged[name], value)
		}
	}
	return merged
}

// mergeEntry patches the JSON of an entry.
func mergeEntry(entry json.Marshaler, patch map[string]any) ([]byte, error) {
	data, err := entry.MarshalJSON()
	if err != nil {
		return nil, err
	}
	target, err := decodeObject(data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(merge(target, patch))
}

// patch reads a merge patch. It refuses the fields that cannot be patched.
func (a *request) patch(fixed ...string) (map[string]any, error) {
	data, _, err := a.body(api.MaxBody, "application/merge-patch+json", "application/json")
	if err != nil {
		return nil, err
	}
	patch, err := decodeObject(data)
	if err != nil {
		return nil, err
	}
	for _, field := range fixed {
		if _, ok := patch[field]; ok {
			return nil, api.Invalid("%q cannot be patched", field)
		}
	}
	return patch, nil
}

package api

// OrEmpty returns list, or an empty list for nil: JSON then has [] in place of null.
func OrEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// OrEmptyMap returns m, or an empty map for nil: JSON then has {} in place of null.
func OrEmptyMap(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

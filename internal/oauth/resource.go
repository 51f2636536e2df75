package oauth

import (
	"net/url"
	"strings"
)

// MaxResources is the maximum number of resource parameters in one request.
const MaxResources = 10

const maxResource = 1024 // bytes of one resource

// resources returns the values of the resource parameter (RFC 8707 §2), without empty ones.
func (p params) resources() ([]string, *Error) {
	var resources []string
	for _, resource := range p["resource"] {
		if resource == "" {
			continue
		}
		if !isResource(resource) {
			return nil, InvalidTarget("resource must be an absolute URI without a fragment")
		}
		resources = append(resources, resource)
	}
	if len(resources) > MaxResources {
		return nil, InvalidTarget("too many resource parameters")
	}
	return resources, nil
}

func isResource(s string) bool {
	if !isPrintable(s, maxResource) || strings.ContainsAny(s, ` #"\<>`) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.IsAbs()
}

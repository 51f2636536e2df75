package registry

import (
	"encoding/json"
	"fmt"
	"time"
)

// checkClient holds a client against the rules of a registry file, and those of a storage: how many
// secrets work, and how large the record is. Of one that is stored, it looks at what the change adds.
// It returns the client as it will be read again.
func (s *Store) checkClient(id string, stored, c *Client, resources []*Resource) (*Client, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, &InvalidError{Problems: []string{err.Error()}}
	}
	if len(data) > maxRecordSize {
		return nil, &InvalidError{Problems: []string{fmt.Sprintf("the client is larger than %d KiB", maxRecordSize>>10)}}
	}
	checked, err := parseClient(id, data, resources, stored)
	if err != nil {
		return nil, err
	}
	if n := checked.liveSecrets(s.now()); n > MaxLiveSecrets {
		return nil, &InvalidError{Problems: []string{fmt.Sprintf("a client may have %d secrets that work at a time, not %d", MaxLiveSecrets, n)}}
	}
	return checked, nil
}

func (c *Client) liveSecrets(now time.Time) int {
	live := 0
	for _, s := range c.Secrets {
		if s.Live(now) {
			live++
		}
	}
	return live
}

func checkResource(code string, r *Resource) (*Resource, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, &InvalidError{Problems: []string{err.Error()}}
	}
	if len(data) > maxRecordSize {
		return nil, &InvalidError{Problems: []string{fmt.Sprintf("the resource is larger than %d KiB", maxRecordSize>>10)}}
	}
	return ParseResource(code, data)
}

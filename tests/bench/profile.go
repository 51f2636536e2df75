package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// profile writes a CPU and an allocation profile of each target, from Caddy's admin endpoint.
func (c *comparison) profile(o options) error {
	for _, t := range c.targets {
		if t.cpu != nil {
			continue // another process
		}
		progress("profiling " + t.name)
		for _, kind := range []string{"profile", "allocs"} {
			if err := t.profile(filepath.Join(o.profile, t.name+"."+kind), kind, o.duration); err != nil {
				return fmt.Errorf("profiling %s: %w", t.name, err)
			}
		}
	}
	return nil
}

// profile measures while the server profiles itself.
func (t *target) profile(path, kind string, d time.Duration) error {
	seconds := max(1, int(d.Seconds()))
	measured := make(chan error, 1)
	go func() {
		_, err := t.measure(time.Duration(seconds)*time.Second + d/4)
		measured <- err
	}()
	time.Sleep(d / 8)
	content, err := get(fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", t.server.site("admin"), kind, seconds))
	if failure := <-measured; err == nil {
		err = failure
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

package registry

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// maxUsers is how many clients an InUseError names.
const maxUsers = 10

// gone is what changes of resources take away: whole resources, and actions.
type gone struct {
	resources map[string]bool
	// replaced are resources of which nobody knows what they were: all is gone that they are not now
	replaced map[string]*Resource
	actions  map[[2]string]bool // resource and action
	// last are actions that no resource has any more: grants on every resource may name them.
	last map[string]bool
}

func goneWith(changes []Change, left *resourceSet) gone {
	g := gone{make(map[string]bool), make(map[string]*Resource), make(map[[2]string]bool), make(map[string]bool)}
	for _, c := range changes {
		before, _ := c.Before.(*Resource)
		after, _ := c.After.(*Resource)
		if _, broken := c.Before.(Broken); broken && after != nil {
			g.replaced[c.ID] = after
		} else if broken {
			g.resources[c.ID] = true
		}
		if before == nil {
			continue
		}
		g.resources[c.ID] = after == nil
		for action := range before.Actions {
			if after != nil && hasAction(after, action) {
				continue
			}
			g.actions[[2]string{c.ID, action}] = after != nil
			if !left.hasAction(action) {
				g.last[action] = true
			}
		}
	}
	return g
}

func hasAction(r *Resource, action string) bool {
	_, ok := r.Actions[action]
	return ok
}

func (set *resourceSet) hasAction(action string) bool {
	for _, r := range set.sorted {
		if hasAction(r, action) {
			return true
		}
	}
	return false
}

func (g gone) isNothing() bool {
	for _, whole := range g.resources {
		if whole {
			return false
		}
	}
	return len(g.actions) == 0 && len(g.last) == 0 && len(g.replaced) == 0
}

// namedBy says what of it a grant names, or "".
func (g gone) namedBy(grant scope.Grant) string {
	if g.resources[grant.Resource] {
		return "resource " + strconv.Quote(grant.Resource)
	}
	now := g.replaced[grant.Resource]
	for _, action := range grant.Actions {
		if now != nil && action != scope.Any && !hasAction(now, action) || g.actions[[2]string{grant.Resource, action}] || grant.Resource == scope.Any && g.last[action] {
			return fmt.Sprintf("action %q of %q", action, grant.Resource)
		}
	}
	return ""
}

// checkUnused looks through all clients, but those that are excepted, for grants on what the changes
// take away. It is the one change that reads the whole registry.
func checkUnused(ctx context.Context, b base, changes []Change, except map[string]*Client) error {
	g := goneWith(changes, b.set().after(changes))
	if g.isNothing() {
		return nil
	}
	ids, err := b.storedIDs(ctx)
	if err != nil {
		return err
	}
	var inUse *InUseError
	for _, id := range ids {
		if _, excepted := except[id]; excepted {
			continue
		}
		client, err := b.stored(ctx, id)
		if err != nil {
			return err
		}
		if inUse = inUse.with(client, g); inUse != nil && len(inUse.By) == maxUsers {
			break
		}
	}
	if inUse == nil {
		return nil
	}
	return inUse
}

// with adds the client if it has a grant on what is gone.
func (e *InUseError) with(client *Client, g gone) *InUseError {
	if client == nil {
		return e // deleted meanwhile
	}
	for _, grant := range client.Grants {
		what := g.namedBy(grant)
		if what == "" {
			continue
		}
		if e == nil {
			e = &InUseError{What: what}
		}
		e.By = append(e.By, client.ID)
		return e
	}
	return e
}

// after is what resources there will be.
func (set *resourceSet) after(changes []Change) *resourceSet {
	for _, c := range changes {
		r, _ := c.After.(*Resource)
		set = set.with(c.ID, r)
	}
	return set
}

// with is the set with one resource replaced, or removed when it is nil.
func (set *resourceSet) with(code string, r *Resource) *resourceSet {
	byCode, broken := maps.Clone(set.byCode), maps.Clone(set.broken)
	delete(byCode, code)
	delete(broken, code)
	if r != nil {
		byCode[code] = r
	}
	return newResourceSet(byCode, broken)
}

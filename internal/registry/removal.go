package registry

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// maxUsers is the greatest number of clients that an InUseError names.
const maxUsers = 10

// removal is what changes of resources remove: whole resources, and actions.
type removal struct {
	resources map[string]bool
	// replaced are resources that replace broken ones. What those were is unknown, so any action that the new ones lack
	// counts as removed.
	replaced map[string]*Resource
	actions  map[[2]string]bool // resource and action
	// last are actions that no resource has any longer. Grants on every resource may name them.
	last map[string]bool
}

func removalBy(changes []Change, left *ResourceSet) removal {
	g := removal{make(map[string]bool), make(map[string]*Resource), make(map[[2]string]bool), make(map[string]bool)}
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

func (g removal) isEmpty() bool {
	for _, whole := range g.resources {
		if whole {
			return false
		}
	}
	return len(g.actions) == 0 && len(g.last) == 0 && len(g.replaced) == 0
}

// namedBy returns what of it a grant names, or "".
func (g removal) namedBy(grant scope.Grant) string {
	if g.resources[grant.Resource] {
		return "resource " + strconv.Quote(grant.Resource)
	}
	now := g.replaced[grant.Resource]
	for _, action := range grant.Actions {
		if now != nil && action != scope.Any && !hasAction(now, action) ||
			g.actions[[2]string{grant.Resource, action}] ||
			grant.Resource == scope.Any && g.last[action] {
			return fmt.Sprintf("action %q of %q", action, grant.Resource)
		}
	}
	return ""
}

// Removed says which grants may lose their resource or their action by changes of resources.
type Removed struct {
	// Resources are the codes of resources that are removed, or that replace broken ones.
	Resources map[string]bool
	// Actions are pairs of a resource and an action. The resource "*" is for grants on every resource.
	Actions map[[2]string]bool
}

// Concerns reports whether a grant of the action on the resource may lose either of them.
func (r Removed) Concerns(resource, action string) bool {
	return r.Resources[resource] || r.Actions[[2]string{resource, action}]
}

func (g removal) removed() Removed {
	r := Removed{make(map[string]bool), make(map[[2]string]bool)}
	for code, whole := range g.resources {
		if whole {
			r.Resources[code] = true
		}
	}
	for code := range g.replaced {
		r.Resources[code] = true
	}
	for pair, gone := range g.actions {
		if gone {
			r.Actions[pair] = true
		}
	}
	for action := range g.last {
		r.Actions[[2]string{scope.Any, action}] = true
	}
	return r
}

// users iterates over the ids of the clients that may have grants on what is removed.
func (b Base) users(ctx context.Context, g removal) iter.Seq2[string, error] {
	if b.Users != nil {
		return b.Users(ctx, g.removed())
	}
	return func(yield func(string, error) bool) {
		ids, err := b.ClientIDs(ctx)
		if err != nil {
			yield("", err)
		}
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// CheckUnused returns an *InUseError if a client, except some, has grants on what the changes of resources remove. It reads
// the clients that may have such grants, and none if the changes remove nothing.
func (b Base) CheckUnused(ctx context.Context, changes []Change, except map[string]*Client) error {
	g := removalBy(changes, b.Resources.after(changes))
	if g.isEmpty() {
		return nil
	}
	var inUse *InUseError
	for id, err := range b.users(ctx, g) {
		if err != nil {
			return err
		}
		if _, excepted := except[id]; excepted {
			continue
		}
		client, err := b.Client(ctx, id)
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

// with adds the client if it has a grant on what is removed.
func (e *InUseError) with(client *Client, g removal) *InUseError {
	if client == nil {
		return e // deleted in the meantime
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

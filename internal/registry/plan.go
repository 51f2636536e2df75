package registry

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// base is what a registry file is planned onto: a store, or the content of another file.
type base interface {
	// set is its resources.
	set() *resourceSet
	// stored is a client, or nil where there is none.
	stored(ctx context.Context, id string) (*Client, error)
	// storedIDs are those of all clients, sorted.
	storedIDs(ctx context.Context) ([]string, error)
	// admit holds a client of the file, which is whole in itself, against what rules there are beside those
	// of files, and returns it as it will be read again; admitResource does so with a resource.
	admit(c *Client, resources []*Resource) (*Client, error)
	admitResource(r *Resource) (*Resource, error)
}

// plan is what applying a file to a base would change.
type plan struct {
	base
	name  string
	file  *Snapshot
	prune bool
}

// planOnto returns the changes, resources first.
func planOnto(ctx context.Context, b base, name string, data []byte, prune bool) ([]Change, error) {
	known := b.set().sorted
	if prune {
		known = nil
	}
	file, err := parseOnto(name, data, known, prune)
	if err != nil {
		return nil, err
	}
	p := &plan{b, name, file, prune}
	resources, err := p.resources()
	if err != nil {
		return nil, err
	}
	clients, pruned, err := p.clients(ctx, b.set().after(resources).sorted)
	if err != nil {
		return nil, err
	}
	except := maps.Clone(file.clients)
	for _, id := range pruned {
		except[id] = nil
	}
	if err := checkUnused(ctx, b, resources, except); err != nil {
		return nil, err
	}
	return append(resources, clients...), nil
}

func (p *plan) resources() ([]Change, error) {
	now := p.set()
	var changes []Change
	add := func(code string, after *Resource) {
		before := orBroken(resourceOrNil(now.byCode[code]), now.broken[code])
		c := Change{Kind: "resource", ID: code, Before: before, After: resourceOrNil(after)}
		if c.Action() != "" {
			changes = append(changes, c)
		}
	}
	for _, r := range p.file.sorted {
		after, err := p.admitResource(r)
		if err != nil {
			return nil, of("resource "+quoted(r.Code), err)
		}
		add(r.Code, after)
	}
	for _, code := range now.codes() {
		if p.prune && p.file.resources[code] == nil {
			add(code, nil)
		}
	}
	return changes, nil
}

// clients returns the changes, and the ids of the clients that will be deleted.
func (p *plan) clients(ctx context.Context, resources []*Resource) (changes []Change, pruned []string, err error) {
	for _, id := range slices.Sorted(maps.Keys(p.file.clients)) {
		change, err := p.client(ctx, p.file.clients[id], resources)
		if err != nil {
			return nil, nil, err
		}
		if change.Action() != "" {
			changes = append(changes, change)
		}
	}
	if !p.prune {
		return changes, nil, nil
	}
	ids, err := p.storedIDs(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		if p.file.clients[id] != nil {
			continue
		}
		before, damage := p.stored(ctx, id)
		if damage != nil && !errors.Is(damage, errBroken) {
			return nil, nil, damage
		}
		if before != nil || damage != nil {
			change := Change{Kind: "client", ID: id, Before: orBroken(clientOrNil(before), damage)}
			changes, pruned = append(changes, change), append(pruned, id)
		}
	}
	return changes, pruned, nil
}

func (p *plan) client(ctx context.Context, c *Client, resources []*Resource) (Change, error) {
	before, damage := p.stored(ctx, c.ID)
	if damage != nil && !errors.Is(damage, errBroken) { // a broken one is replaced
		return Change{}, p.at(c.ID, damage)
	}
	after := *c
	if c.Secrets == nil && before != nil {
		after.Secrets = before.Secrets
	}
	admitted, err := p.admit(&after, resources)
	if err != nil {
		return Change{}, p.at(c.ID, err)
	}
	return Change{Kind: "client", ID: c.ID, Before: orBroken(clientOrNil(before), damage), After: admitted}, nil
}

// at says where in the file the client is that an *InvalidError is about.
func (p *plan) at(id string, err error) error {
	return of(p.file.places[id].problem(p.name, "client "+quoted(id)).Error(), err)
}

// of says what an *InvalidError is about.
func of(what string, err error) error {
	var wrong *InvalidError
	if !errors.As(err, &wrong) {
		return err
	}
	problems := make([]string, len(wrong.Problems))
	for i, p := range wrong.Problems {
		problems[i] = what + ": " + p
	}
	return &InvalidError{Problems: problems}
}

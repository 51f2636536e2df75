package registry

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
)

// Base is the content that a registry file is applied to: that of a store, or of another file.
type Base struct {
	// Resources are all resources.
	Resources *ResourceSet
	// Client returns a client, or nil if there is none. Its error wraps ErrBroken if only this client cannot be used.
	Client func(ctx context.Context, id string) (*Client, error)
	// ClientIDs returns the ids of all clients, sorted.
	ClientIDs func(ctx context.Context) ([]string, error)
	// Users, if set, iterates over the ids of the clients that may have grants that the removal concerns, sorted. Without
	// it, every client may have such grants.
	Users func(ctx context.Context, removed Removed) iter.Seq2[string, error]
	// Holders returns the ids of clients that may have an identity which conflicts with this one.
	Holders func(ctx context.Context, i Identity) ([]string, error)
	// CheckClient and CheckResource, if set, check a valid entry of the file against rules beyond those of files. They
	// return the entry as it will be read again.
	CheckClient   func(c *Client, resources []*Resource) (*Client, error)
	CheckResource func(r *Resource) (*Resource, error)
	// Compared, if set, is called with how many clients were compared, of how many.
	Compared func(done, total int)
}

// plan is what applying a file to a base would change.
type plan struct {
	Base
	name  string
	file  *Snapshot
	prune bool
}

// Plan returns what applying a registry file to the base would change, resources first. With prune, entries that the file
// does not name are deleted. An error about the file is an *InvalidError or an *InUseError.
func (b Base) Plan(ctx context.Context, name string, data []byte, prune bool) ([]Change, error) {
	known := b.Resources.Sorted
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
	clients, pruned, err := p.clients(ctx, b.Resources.after(resources).Sorted)
	if err != nil {
		return nil, err
	}
	except := maps.Clone(file.clients)
	for _, id := range pruned {
		except[id] = nil
	}
	if err := b.CheckUnused(ctx, resources, except); err != nil {
		return nil, err
	}
	for _, c := range clients {
		before, _ := c.Before.(*Client)
		after, _ := c.After.(*Client)
		if err := b.CheckIdentities(ctx, before, after, except); err != nil {
			return nil, p.at(c.ID, err)
		}
	}
	return append(resources, clients...), nil
}

// Plan returns what replacing this content by a registry file would change; see Base.Plan.
func (s *Snapshot) Plan(ctx context.Context, name string, data []byte, prune bool) ([]Change, error) {
	return Base{
		Resources: s.resources,
		Client:    func(_ context.Context, id string) (*Client, error) { return s.clients[id], nil },
		ClientIDs: func(ctx context.Context) ([]string, error) { return s.ClientIDs(ctx, "", "", 0) },
		Holders:   func(_ context.Context, i Identity) ([]string, error) { return s.identities.holders(i), nil },
	}.Plan(ctx, name, data, prune)
}

func (p *plan) resources() ([]Change, error) {
	now := p.Resources
	var changes []Change
	add := func(code string, after *Resource) {
		c := ResourceChange(code, now.ByCode[code], now.Broken[code], after)
		if c.Action() != "" {
			changes = append(changes, c)
		}
	}
	for _, r := range p.file.resources.Sorted {
		if p.CheckResource != nil {
			checked, err := p.CheckResource(r)
			if err != nil {
				return nil, of("resource "+quoted(r.Code), err)
			}
			r = checked
		}
		add(r.Code, r)
	}
	for _, code := range now.codes() {
		if p.prune && p.file.resources.ByCode[code] == nil {
			add(code, nil)
		}
	}
	return changes, nil
}

// clients returns the changes, and the ids of the clients that will be deleted.
func (p *plan) clients(ctx context.Context, resources []*Resource) (changes []Change, pruned []string, err error) {
	for n, id := range slices.Sorted(maps.Keys(p.file.clients)) {
		if p.Compared != nil {
			p.Compared(n, len(p.file.clients))
		}
		change, err := p.client(ctx, p.file.clients[id], resources)
		if err != nil {
			return nil, nil, p.at(id, err)
		}
		if change.Action() != "" {
			changes = append(changes, change)
		}
	}
	if !p.prune {
		return changes, nil, nil
	}
	ids, err := p.ClientIDs(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		if p.file.clients[id] != nil {
			continue
		}
		before, damage, err := p.current(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		if change := ClientChange(id, before, damage, nil); change.Action() != "" {
			changes, pruned = append(changes, change), append(pruned, id)
		}
	}
	return changes, pruned, nil
}

func (p *plan) client(ctx context.Context, c *Client, resources []*Resource) (Change, error) {
	before, damage, err := p.current(ctx, c.ID)
	if err != nil {
		return Change{}, err
	}
	if c.Secrets == nil && before != nil {
		c = new(*c)
		c.Secrets = before.Secrets
	}
	if p.CheckClient != nil {
		if c, err = p.CheckClient(c, resources); err != nil {
			return Change{}, err
		}
	}
	return ClientChange(c.ID, before, damage, c), nil
}

// current returns the client of the base. A client whose object is broken can be replaced, so that its damage is not an
// error.
func (p *plan) current(ctx context.Context, id string) (before *Client, damage, err error) {
	before, err = p.Client(ctx, id)
	if errors.Is(err, ErrBroken) {
		return nil, err, nil
	}
	return before, nil, err
}

// at says where in the file the client is that an *InvalidError or a *ConflictError is about.
func (p *plan) at(id string, err error) error {
	return of(p.file.places[id].problem(p.name, "client "+quoted(id)).Error(), err)
}

// of returns an *InvalidError that says what one, or a *ConflictError, is about. It returns other errors as they are.
func of(what string, err error) error {
	var wrong *InvalidError
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		wrong = &InvalidError{Problems: []string{conflict.Error()}}
	} else if !errors.As(err, &wrong) {
		return err
	}
	problems := make([]string, len(wrong.Problems))
	for i, p := range wrong.Problems {
		problems[i] = what + ": " + p
	}
	return &InvalidError{Problems: problems}
}

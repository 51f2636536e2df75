package registry

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// ApplyOptions say how a registry file is applied.
type ApplyOptions struct {
	// DryRun tells what would change, and changes nothing.
	DryRun bool
	// Prune deletes what the file does not name.
	Prune bool
}

// Apply takes the entries of a registry file: it creates those that are not there and replaces those
// that are. A client of the file without "secrets" keeps those it has. Everything is checked before
// anything is written; what is wrong is an *InvalidError, with name as the file's name, or an
// *InUseError. It returns the changes, resources first.
//
// When the storage fails half-way, entries that were written stay; applying again does the rest.
func (s *Store) Apply(ctx context.Context, name string, data []byte, o ApplyOptions) ([]Change, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	if o.DryRun {
		return s.plan(ctx, name, data, o)
	}
	var changes []Change
	err := s.write(ctx, func(ctx context.Context, w *changing) (err error) {
		if changes, err = s.plan(ctx, name, data, o); err != nil || len(changes) == 0 {
			return err
		}
		puts, err := s.putsOf(changes)
		if err != nil {
			return err
		}
		return w.commit(ctx, puts)
	})
	if err != nil {
		return nil, err
	}
	return changes, nil
}

// plan is what applying a file would change.
func (s *Store) plan(ctx context.Context, name string, data []byte, o ApplyOptions) ([]Change, error) {
	known := s.resources.Load().sorted
	if o.Prune {
		known = nil
	}
	file, err := parseOnto(name, data, known, o.Prune)
	if err != nil {
		return nil, err
	}
	resources, err := s.planResources(file, o.Prune)
	if err != nil {
		return nil, err
	}
	clients, pruned, err := s.planClients(ctx, file, s.resourcesAfter(resources).sorted, o.Prune)
	if err != nil {
		return nil, err
	}
	except := maps.Clone(file.clients)
	for _, id := range pruned {
		except[id] = nil
	}
	if err := s.checkUnused(ctx, resources, except); err != nil {
		return nil, err
	}
	return append(resources, clients...), nil
}

func (s *Store) planResources(file *Snapshot, prune bool) ([]Change, error) {
	now := s.resources.Load()
	var changes []Change
	add := func(code string, after *Resource) {
		c := Change{Kind: "resource", ID: code, Before: resourceOrNil(now.byCode[code]), After: resourceOrNil(after)}
		if c.Action() != "" {
			changes = append(changes, c)
		}
	}
	for _, r := range file.sorted {
		after, err := checkResource(r.Code, r)
		if err != nil {
			return nil, err
		}
		add(r.Code, after)
	}
	for _, r := range now.sorted {
		if prune && file.resources[r.Code] == nil {
			add(r.Code, nil)
		}
	}
	return changes, nil
}

// planClients returns the changes, and the ids of the clients that will be deleted.
func (s *Store) planClients(ctx context.Context, file *Snapshot, resources []*Resource, prune bool) (changes []Change, pruned []string, err error) {
	for _, id := range slices.Sorted(maps.Keys(file.clients)) {
		change, err := s.planClient(ctx, file.clients[id], resources)
		if err != nil {
			return nil, nil, err
		}
		if change.Action() != "" {
			changes = append(changes, change)
		}
	}
	if !prune {
		return changes, nil, nil
	}
	ids, err := listIDs(ctx, s.storage, s.prefix+"/clients")
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(ids)
	for _, id := range ids {
		if file.clients[id] != nil {
			continue
		}
		before, err := s.storedClient(ctx, id)
		if errors.Is(err, errBroken) {
			before, err = brokenClient(id), nil
		}
		if err != nil {
			return nil, nil, err
		}
		if before != nil {
			changes, pruned = append(changes, Change{Kind: "client", ID: id, Before: before}), append(pruned, id)
		}
	}
	return changes, pruned, nil
}

func (s *Store) planClient(ctx context.Context, c *Client, resources []*Resource) (Change, error) {
	before, err := s.storedClient(ctx, c.ID)
	if err != nil && !errors.Is(err, errBroken) { // a broken one is replaced
		return Change{}, err
	}
	after := *c
	if c.Secrets == nil && before != nil {
		after.Secrets = before.Secrets
	}
	checked, err := s.checkClient(c.ID, &after, resources)
	if err != nil {
		return Change{}, of("client "+quoted(c.ID), err)
	}
	return Change{Kind: "client", ID: c.ID, Before: clientOrNil(before), After: checked}, nil
}

func (s *Store) storedClient(ctx context.Context, id string) (*Client, error) {
	name, err := clientName(id)
	if err != nil {
		return nil, of("client "+quoted(id), err)
	}
	return s.readClient(ctx, name, id)
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

// putsOf orders the records so that whoever reads in between finds what grants name: resources come
// first, and are deleted last.
func (s *Store) putsOf(changes []Change) ([]put, error) {
	var puts, last []put
	for _, c := range changes {
		p := put{id: c.ID, entry: marshalerOrNil(c.After)}
		name, err := recordName(c.ID)
		if err != nil {
			return nil, err
		}
		if p.key = s.clientKey(name); c.Kind == "resource" {
			p.key = s.resourceKey(name)
		}
		if p.entry == nil && c.Kind == "resource" {
			last = append(last, p)
		} else {
			puts = append(puts, p)
		}
	}
	return append(puts, last...), nil
}

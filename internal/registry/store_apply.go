package registry

import "context"

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
		return planOnto(ctx, s, name, data, o.Prune)
	}
	var changes []Change
	err := s.write(ctx, func(ctx context.Context, w *changing) (err error) {
		if changes, err = planOnto(ctx, s, name, data, o.Prune); err != nil || len(changes) == 0 {
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

package registry

import "slices"

// ParseClient parses the JSON object of one client by the rules of a registry file. Its grants may name the given
// resources. Its error is an *InvalidError.
//
// If stored is not nil, the data is a change of that client, and ParseClient refuses only what the change adds. Grants
// that the client has remain valid, even if their resource is broken or gone or has lost the action. So a client can
// always be disabled, and its rights can always be reduced.
func ParseClient(id string, data []byte, resources []*Resource, stored *Client) (*Client, error) {
	d := newDecoder("")
	d.stored = stored
	d.know(resources)
	root, err := readJSON("", data)
	if err != nil {
		return nil, invalid(err)
	}
	name := node{kind: stringKind, text: id}
	d.notSecret(&name, "a client's id")
	c := d.client(&name, &root)
	if err := d.problems.err(); err != nil {
		return nil, invalid(err)
	}
	return c, nil
}

// ParseKey parses the JWK of a public key by the rules of a registry file. Its error is an *InvalidError, and does not repeat the
// key.
func ParseKey(data []byte) (Key, error) {
	d := newDecoder("")
	root, err := readJSON("", data)
	if err != nil {
		return Key{}, invalid(err)
	}
	key, _ := d.key(&root)
	if err := d.problems.err(); err != nil {
		return Key{}, invalid(err)
	}
	return key, nil
}

// ParseResource parses the JSON object of one resource by the rules of a registry file. Its error is an *InvalidError.
func ParseResource(code string, data []byte) (*Resource, error) {
	d := newDecoder("")
	root, err := readJSON("", data)
	if err != nil {
		return nil, invalid(err)
	}
	name := node{kind: stringKind, text: code}
	d.notSecret(&name, "a resource's code")
	d.resource(&name, &root)
	if err := d.problems.err(); err != nil {
		return nil, invalid(err)
	}
	return d.resources[code], nil
}

// know adds resources that grants may name in addition to those of the file. The file's resources take precedence.
func (d *decoder) know(resources []*Resource) {
	for _, r := range resources {
		if d.resources[r.Code] != nil {
			continue
		}
		d.resources[r.Code] = r
		for action := range r.Actions {
			d.actions[action] = action
		}
	}
}

// parseOnto parses a registry file whose grants may also name the known resources. The snapshot has only the entries of
// the file. With prune, an empty file is an error: a command that failed may leave one, and it would delete everything.
func parseOnto(name string, data []byte, known []*Resource, prune bool) (*Snapshot, error) {
	if len(data) > MaxFileSize {
		return nil, invalid(TooLarge(name))
	}
	root, err := readTree(name, data)
	if err != nil {
		return nil, invalid(err)
	}
	if prune && root.kind == nullKind {
		return nil, invalid(position{line: 1}.problem(name, "the file is empty: to delete everything, write {}"))
	}
	s, err := decode(name, root, known)
	if err != nil {
		return nil, invalid(err)
	}
	return s, nil
}

// invalid returns an *InvalidError for an error that is one problem, or several joined ones.
func invalid(err error) *InvalidError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		problems := make([]string, 0, maxReported+1)
		for _, e := range joined.Unwrap() {
			problems = append(problems, problemText(e))
		}
		return &InvalidError{Problems: slices.Clip(problems)}
	}
	return &InvalidError{Problems: []string{problemText(err)}}
}

// problemText leaves out the position if there is no file.
func problemText(err error) string {
	if e, ok := err.(*FileError); ok && e.File == "" {
		return e.Msg
	}
	return err.Error()
}

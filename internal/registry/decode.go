package registry

import (
	"iter"
	"maps"
)

// decoder checks the tree of a file and builds its entries. It continues after a problem, to find the others.
type decoder struct {
	problems  problems
	resources map[string]*Resource
	actions   map[string]string // the actions of all resources; each name maps to itself
	owned     []Owned           // the identities of all clients
	stored    *Client           // the client that is being changed; what it already has is not a problem
}

// sections is the top level of a file.
type sections struct{ resources, clients *node }

var fileSchema = schema[sections]{
	what: "a registry file",
	fields: map[string]func(*decoder, *node, *sections){
		"resources": func(_ *decoder, n *node, s *sections) { s.resources = n },
		"clients":   func(_ *decoder, n *node, s *sections) { s.clients = n },
	},
}

func newDecoder(file string) *decoder {
	return &decoder{
		problems:  problems{file: file},
		resources: make(map[string]*Resource),
		actions:   make(map[string]string),
	}
}

// decode reads resources before clients, in whatever order they are in the file, because grants are checked against the
// file's resources and the known ones.
func decode(file string, root node, known []*Resource) (*Snapshot, error) {
	d := newDecoder(file)
	var top sections
	if root.kind != nullKind {
		fileSchema.read(d, &root, &top)
	}
	for code, n := range d.section(top.resources, "resources") {
		d.resource(code, n)
	}
	resources := maps.Clone(d.resources)
	d.know(known)
	clients := make(map[string]*Client)
	places := make(map[string]position)
	for id, n := range d.section(top.clients, "clients") {
		clients[id.text], places[id.text] = d.client(id, n), id.at
	}
	identities := d.checkIdentities()
	if err := d.problems.err(); err != nil {
		return nil, err
	}
	return &Snapshot{clients: clients, resources: NewResourceSet(resources, nil), identities: identities, places: places}, nil
}

// section iterates over the entries of "clients" or "resources", which may be missing or empty.
func (d *decoder) section(n *node, what string) iter.Seq2[*node, *node] {
	if n == nil || n.kind == nullKind {
		return func(func(*node, *node) bool) {}
	}
	return d.members(n, what)
}

// members iterates over the names and values of a mapping. It reports names that are not strings, that repeat an earlier
// name or that contain a secret.
func (d *decoder) members(n *node, what string) iter.Seq2[*node, *node] {
	return func(yield func(name, value *node) bool) {
		if !d.is(n, mappingKind, what) {
			return
		}
		children := d.children(n)
		seen := names{children: children}
		for i := 0; i+1 < len(children); i += 2 {
			if d.isName(&seen, i, what) && !yield(&children[i], &children[i+1]) {
				return
			}
		}
	}
}

// isName returns whether the i-th child can be a name. If it cannot, isName adds a problem.
func (d *decoder) isName(seen *names, i int, what string) bool {
	name := &seen.children[i]
	if name.kind != stringKind {
		d.problems.add(name.at, "a name in %s must be a string: put it in quotes", what)
		return false
	}
	if first := seen.earlier(i); first != nil {
		d.problems.add(name.at, "duplicate name %s in %s: it is first on line %d",
			quoted(name.text), what, first.at.line)
		return false
	}
	return d.notSecret(name, "a name in "+what)
}

// items iterates over a list.
func (d *decoder) items(n *node, what string) iter.Seq[*node] {
	return func(yield func(*node) bool) {
		if !d.is(n, listKind, what) {
			return
		}
		children := d.children(n)
		for i := range children {
			if !yield(&children[i]) {
				return
			}
		}
	}
}

func (d *decoder) children(n *node) []node {
	if n.load == nil {
		return n.children
	}
	children, err := n.load()
	if err != nil {
		d.problems.add(position{int32(err.Line), int32(err.Column)}, "%s", err.Msg)
	}
	return children
}

// is returns whether a node is of that kind. If it is not, is adds a problem.
func (d *decoder) is(n *node, want kind, what string) bool {
	if n.kind != want {
		d.problems.add(n.at, "%s must be %v, not %v", what, want, n.kind)
	}
	return n.kind == want
}

// names finds repeated names of a mapping. It compares few names with each other, and uses a map for many.
type names struct {
	children []node // alternately names and values
	index    map[string]int
}

const fewChildren = 32

// earlier returns the first name that equals the i-th child, or nil if the i-th child is the first.
func (s *names) earlier(i int) *node {
	if len(s.children) > fewChildren {
		return s.earlierByMap(i)
	}
	for j := 0; j < i; j += 2 {
		if s.children[j].kind == stringKind && s.children[j].text == s.children[i].text {
			return &s.children[j]
		}
	}
	return nil
}

func (s *names) earlierByMap(i int) *node {
	if s.index == nil {
		s.index = make(map[string]int, len(s.children)/2)
	}
	if first, ok := s.index[s.children[i].text]; ok {
		return &s.children[first]
	}
	s.index[s.children[i].text] = i
	return nil
}

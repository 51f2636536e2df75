package policy

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
)

// reads is the part of a document that rules may read: all of it, or these members. A nil reads is nothing.
type reads struct {
	all     bool
	members map[step]*reads
}

// step leads to a member of an object, or to an element of an array.
type step struct {
	name    string
	index   int
	isIndex bool
}

// add adds what a reference reads. A reference ends where its path depends on a value: from there everything is read.
func (r *reads) add(path []*ast.Term) {
	if r.all {
		return
	}
	next, ok := step{}, false
	if len(path) > 0 {
		next, ok = stepTo(path[0])
	}
	if !ok {
		r.all, r.members = true, nil
		return
	}
	if r.members == nil {
		r.members = make(map[step]*reads)
	}
	member := r.members[next]
	if member == nil {
		member = new(reads)
		r.members[next] = member
	}
	member.add(path[1:])
}

func stepTo(term *ast.Term) (step, bool) {
	switch key := term.Value.(type) {
	case ast.String:
		return step{name: string(key)}, true
	case ast.Number:
		index, err := strconv.Atoi(json.Number(key).String())
		return step{index: index, isIndex: true}, err == nil && index >= 0
	}
	return step{}, false
}

// at returns what is read of a member.
func (r *reads) at(names ...string) *reads {
	for _, name := range names {
		if r == nil || r.all {
			return r
		}
		r = r.members[step{name: name}]
	}
	return r
}

// has reports whether anything of a member is read.
func (r *reads) has(names ...string) bool { return r.at(names...) != nil }

// part returns what is read of a member that has members or elements itself.
func (r *reads) part(names ...string) parts {
	at := r.at(names...)
	switch {
	case at == nil:
		return parts{}
	case at.all:
		return parts{all: true}
	}
	p := parts{}
	for s := range at.members {
		if s.isIndex {
			p.indexes = append(p.indexes, s.index)
		} else {
			p.names = append(p.names, s.name)
		}
	}
	slices.Sort(p.names)
	slices.Sort(p.indexes)
	return p
}

// parts is what is read of an object or an array.
type parts struct {
	all     bool
	names   []string // sorted
	indexes []int    // sorted
}

// list appends the paths to what is read, sorted. The path of the whole document is prefix.
func (r *reads) list(prefix string) []string {
	switch {
	case r == nil:
		return nil
	case r.all:
		return []string{prefix}
	}
	var paths []string
	for s, member := range r.members {
		paths = append(paths, member.list(prefix+s.text())...)
	}
	slices.Sort(paths)
	return paths
}

// text returns the step as Rego writes it.
func (s step) text() string {
	switch {
	case s.isIndex:
		return "[" + strconv.Itoa(s.index) + "]"
	case ast.IsVarCompatibleString(s.name):
		return "." + s.name
	}
	return "[" + strconv.Quote(s.name) + "]"
}

package decisionlog

import (
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
)

// cutter is an encoder that measures as much of what is logged as its limits allow, and copies it if copies is set.
type cutter struct {
	zapcore.ObjectEncoder // nil: the types of this package add nothing else
	zapcore.ArrayEncoder  // likewise

	cutLimit
	cuts   cuts
	size   int      // of what is kept, as logmask.Size counts
	names  []string // that lead to where the cutter is
	copies bool

	cutText bool // whether a text was cut
	container
}

// container is the object or the list that the cutter is in.
type container struct {
	object     map[string]any // nil unless it is copied
	list       []any          // likewise
	kept, left int            // members or elements
}

func newCutter(limit cutLimit, copies bool) *cutter {
	c := &cutter{cutLimit: limit, cuts: make(cuts), copies: copies}
	if copies {
		c.object = make(map[string]any)
	}
	return c
}

// take takes the fields, and reports whether what is kept of them fits into a line, without what was left out.
func (c *cutter) take(fields []zap.Field) bool {
	c.size = 2
	for i := range fields {
		fields[i].AddTo(c)
	}
	c.cuts = c.cuts.bounded()
	return !c.isFull()
}

// isFull reports whether too much is kept. Then the cutter looks at nothing more.
func (c *cutter) isFull() bool { return c.size > maxDecision }

// member goes to a member of the object, and reports whether it is kept.
func (c *cutter) member(name string) bool {
	depth := len(c.names)
	if c.isFull() || depth > 0 && (c.kept >= c.members || len(name) > c.text || depth > c.depth) {
		c.left++
		return false
	}
	c.kept++
	c.names = append(c.names, name)
	c.size += logmask.TextSize(name) + 2
	return true
}

// element goes to an element of the list, and reports whether it is kept.
func (c *cutter) element() bool {
	if c.isFull() || c.kept >= c.elements || len(c.names) > c.depth {
		c.left++
		return false
	}
	c.kept++
	c.names = append(c.names, "*")
	c.size++
	return true
}

// put leaves a member or an element, which has the value.
func (c *cutter) put(value any) {
	name := c.names[len(c.names)-1]
	c.names = c.names[:len(c.names)-1]
	switch {
	case c.object != nil:
		c.object[name] = value
	case c.copies:
		c.list = append(c.list, value)
	}
}

// note counts what is left out of what the cutter is at.
func (c *cutter) note(left int) {
	if left <= 0 || c.isFull() {
		return
	}
	place := c.names[0]
	for _, name := range c.names[1:] {
		place = placeIn(place, name)
	}
	c.cuts[place] += left
}

func (c *cutter) putText(text string) {
	if len(text) > c.text {
		n := c.text
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		c.note(len(text) - n)
		c.cutText = true
		text = text[:n] + cutMark
	}
	c.size += logmask.TextSize(text)
	if c.copies {
		c.put(text)
		return
	}
	c.put(nil) // an interface for the text would be allocated
}

func (c *cutter) putObject(object zapcore.ObjectMarshaler) error {
	above := c.container
	c.container = container{}
	if c.copies {
		c.object = make(map[string]any)
	}
	c.size += 2
	err := object.MarshalLogObject(c)
	c.note(c.left)
	value := c.object
	c.container = above
	c.put(value)
	return err
}

func (c *cutter) putArray(array zapcore.ArrayMarshaler) error {
	above := c.container
	c.container = container{}
	if c.copies {
		c.list = []any{}
	}
	c.size += 2
	err := array.MarshalLogArray(c)
	c.note(c.left)
	value := c.list
	c.container = above
	if !c.copies {
		c.put(nil)
		return err
	}
	c.put(value)
	return err
}

func (c *cutter) putValue(value any) error {
	switch value := value.(type) {
	case string:
		c.putText(value)
		return nil
	case map[string]any:
		return c.putObject(loggedMembers(value))
	case []any:
		return c.putArray((*loggedElements)(&value))
	}
	size := logmask.Size(value)
	if size > c.text { // a long number
		c.note(size)
		size, value = logmask.Size(nil), nil
	}
	c.size += size
	c.put(value)
	return nil
}

func (c *cutter) AddString(name, text string) {
	if c.member(name) {
		c.putText(text)
	}
}

func (c *cutter) AddBool(name string, value bool)   { _ = c.AddReflected(name, value) }
func (c *cutter) AddInt64(name string, value int64) { _ = c.AddReflected(name, value) }

func (c *cutter) AddReflected(name string, value any) error {
	if c.member(name) {
		return c.putValue(value)
	}
	return nil
}

func (c *cutter) AddObject(name string, object zapcore.ObjectMarshaler) error {
	if c.member(name) {
		return c.putObject(object)
	}
	return nil
}

func (c *cutter) AddArray(name string, array zapcore.ArrayMarshaler) error {
	if c.member(name) {
		return c.putArray(array)
	}
	return nil
}

func (c *cutter) AppendString(text string) {
	if c.element() {
		c.putText(text)
	}
}

func (c *cutter) AppendBool(value bool) { _ = c.AppendReflected(value) }

func (c *cutter) AppendReflected(value any) error {
	if c.element() {
		return c.putValue(value)
	}
	return nil
}

func (c *cutter) AppendObject(object zapcore.ObjectMarshaler) error {
	if c.element() {
		return c.putObject(object)
	}
	return nil
}

func (c *cutter) AppendArray(array zapcore.ArrayMarshaler) error {
	if c.element() {
		return c.putArray(array)
	}
	return nil
}

package replay

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// The limits of a report.
const (
	maxChanges    = 100_000
	maxReasons    = 5
	maxUnreadable = 5
	maxText       = 300 // bytes of a reason or a value
)

type changeKey struct {
	client string
	kind   Kind
	what   string
}

func (r *Report) count(what func(*Totals)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what(&r.Totals)
}

func (r *Report) unreadable(where position, problem error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Totals.Unreadable++
	r.Problems = append(r.Problems, Problem{where.String(), problem.Error(), where})
	slices.SortFunc(r.Problems, func(a, b Problem) int { return compare(a.first, b.first) })
	r.Problems = r.Problems[:min(len(r.Problems), maxUnreadable)]
}

// add counts a decision. It returns how many in a row were not made in time, including this one.
func (r *Report) add(d *decision) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late++
	if d.kind != string(policy.Timeout) && d.kind != string(policy.Overloaded) {
		r.late = 0
	}
	r.Totals.Decisions++
	uncertain := 0
	if len(d.masked) > 0 {
		uncertain = 1
	}
	r.Totals.Uncertain += uncertain
	switch {
	case d.failure != nil:
		r.Totals.Failed++
		r.addFailure(d)
	case len(d.changes) == 0:
		r.Totals.Same++
	default:
		r.Totals.Changed++
		for _, c := range d.changes {
			r.addChange(d, c, uncertain)
		}
	}
	return r.late
}

func (r *Report) addFailure(d *decision) {
	f := r.failures[d.kind]
	if f == nil {
		f = &Failure{Kind: d.kind, first: d.line}
		r.failures[d.kind] = f
	}
	f.Count++
	if f.Example == "" || compare(d.line, f.first) < 0 {
		f.first, f.Where, f.Example, f.Error = d.line, d.line.String(), d.id, shorten(d.failure.Error())
	}
}

func (r *Report) addChange(d *decision, c change, uncertain int) {
	key := changeKey{d.client, c.kind, c.what}
	row := r.changes[key]
	if row == nil && len(r.changes) == maxChanges {
		r.Unlisted++
		return
	}
	if row == nil {
		row = &Change{Client: d.client, Kind: c.kind, What: c.what}
		r.changes[key] = row
	}
	row.Count++
	row.Uncertain += uncertain
	row.addReason(shorten(c.reason))
	if row.Example == "" || compare(d.line, row.first) < 0 {
		row.first, row.Where, row.Example = d.line, d.line.String(), d.id
		row.Before, row.After = shorten(c.before), shorten(c.after)
	}
}

func (c *Change) addReason(reason string) {
	if reason == "" {
		return
	}
	if c.Reasons == nil {
		c.Reasons = make(map[string]int)
	}
	if c.Reasons[reason] == 0 && len(c.Reasons) >= maxReasons {
		reason = "…"
	}
	c.Reasons[reason]++
}

// finish fills the lists of the report, sorted.
func (r *Report) finish(revision string) {
	r.Revision = revision
	r.Changes = slices.AppendSeq(r.Changes, maps.Values(r.changes))
	slices.SortFunc(r.Changes, func(a, b *Change) int {
		return cmp.Or(strings.Compare(a.Client, b.Client), strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.What, b.What))
	})
	r.Failures = slices.AppendSeq(r.Failures, maps.Values(r.failures))
	slices.SortFunc(r.Failures, func(a, b *Failure) int { return strings.Compare(a.Kind, b.Kind) })
}

// compare compares lines in the order of the logs.
func compare(a, b position) int {
	return cmp.Or(cmp.Compare(a.log, b.log), cmp.Compare(a.line, b.line))
}

func shorten(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

func ttlText(seconds int64) string {
	if seconds <= 0 {
		return ""
	}
	return strconv.FormatInt(seconds, 10)
}

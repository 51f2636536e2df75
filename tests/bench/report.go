package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is all that a run measured. Times are in microseconds.
type report struct {
	Go          string        `json:"go"`
	CPUs        int           `json:"cpus"`
	Procs       int           `json:"server_gomaxprocs"`
	Connections int           `json:"connections"`
	Bystanders  int           `json:"bystanders"`
	Rounds      int           `json:"rounds"`
	Seconds     float64       `json:"seconds"`
	Rows        []row         `json:"targets,omitempty"`
	Goals       []goal        `json:"goals,omitempty"`
	Overload    []overloadRow `json:"overload,omitempty"`
	Memory      []memoryRow   `json:"memory,omitempty"`
}

// row is one target: medians over the rounds.
type row struct {
	Name    string  `json:"name"`
	What    string  `json:"what"`
	Against string  `json:"against,omitempty"`
	Rate    float64 `json:"rate"`
	// Ratio is the rate by that of what it is compared with, and RatioByCPU the same by the CPU time of the server's process:
	// the better one where other programs run, or where the load generator is the slower side.
	Ratio      float64 `json:"ratio,omitempty"`
	RatioByCPU float64 `json:"ratio_by_cpu,omitempty"`
	P50        float64 `json:"p50_us"`
	P99        float64 `json:"p99_us"`
	P99Ratio   float64 `json:"p99_ratio,omitempty"`
	CPU        float64 `json:"cpu_us"`
	Allocs     float64 `json:"allocs"`
	Bytes      float64 `json:"bytes"`
}

func newReport(f *fixture, o options) *report {
	return &report{Go: runtime.Version(), CPUs: runtime.NumCPU(), Procs: f.procs, Connections: o.connections, Rounds: o.rounds,
		Bystanders: o.bystanders,
		Seconds:    o.duration.Seconds()}
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// rows are those of the comparison, in its order.
func (c *comparison) rows() []row {
	var rows []row
	for _, t := range c.targets {
		if len(t.pairs) == 0 {
			continue
		}
		r := row{
			Name: t.name, What: t.what,
			Rate:   t.medianOf((*sample).rate),
			P50:    t.medianOf(func(s *sample) float64 { return microseconds(s.quantile(0.5)) }),
			P99:    t.medianOf(func(s *sample) float64 { return microseconds(s.quantile(0.99)) }),
			CPU:    t.medianOf(func(s *sample) float64 { return microseconds(s.cpuEach()) }),
			Allocs: t.medianOf((*sample).mallocsEach),
			Bytes:  t.medianOf((*sample).bytesEach),
		}
		if t.against != nil {
			r.Against = t.against.name
			r.Ratio = t.medianOfPairs(func(p pair) float64 { return p.measured.rate() / p.against.rate() })
			r.RatioByCPU = t.medianOfPairs(func(p pair) float64 { return float64(p.against.cpuEach()) / float64(p.measured.cpuEach()) })
			r.P99Ratio = t.medianOfPairs(func(p pair) float64 {
				return float64(p.measured.quantile(0.99)) / float64(p.against.quantile(0.99))
			})
		}
		rows = append(rows, r)
	}
	return rows
}

// table is printed as text or, with fewer columns, as Markdown.
type table struct {
	title  string
	head   []string
	rows   [][]string
	detail []string // names of columns that are for text alone
}

func (t table) text(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n", t.title)
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, cells := range append([][]string{t.head}, t.rows...) {
		fmt.Fprintln(aligned, strings.Join(cells, "\t"))
	}
	_ = aligned.Flush()
}

func (t table) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n%s|%s\n", t.title, t.line(t.head), strings.Repeat(" --- |", len(t.head)-len(t.detail)))
	for _, cells := range t.rows {
		fmt.Fprint(w, t.line(cells))
	}
}

func (t table) line(cells []string) string {
	line := "|"
	for i, cell := range cells {
		if !slices.Contains(t.detail, t.head[i]) {
			line += " " + cell + " |"
		}
	}
	return line + "\n"
}

func (r *report) print(w io.Writer, format string) error {
	if format == "json" {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(r)
	}
	for _, t := range r.tables() {
		if len(t.rows) == 0 {
			continue
		}
		if format == "markdown" {
			t.markdown(w)
		} else {
			t.text(w)
		}
	}
	return nil
}

// tables are the report as tables: the goals first.
func (r *report) tables() []table {
	setting := fmt.Sprintf("%s, %d CPUs, the server with GOMAXPROCS=%d, %d connections, medians of %d rounds of %g s",
		r.Go, r.CPUs, r.Procs, r.Connections, r.Rounds, r.Seconds)
	goals := table{title: "Goals: " + setting, head: []string{"what", "before", "goal", "now", "by CPU"}}
	for _, g := range r.Goals {
		goals.rows = append(goals.rows, []string{g.What, g.Before, g.Goal, g.Now, g.ByCPU})
	}
	targets := table{title: "Targets: " + setting, detail: []string{"name", "bytes"},
		head: []string{"what", "name", "requests/s", "ratio", "by CPU", "of", "p50", "p99", "p99 ratio", "CPU", "allocations", "bytes"}}
	for _, t := range r.Rows {
		targets.rows = append(targets.rows, []string{t.What, t.Name, number(t.Rate), ratio(t.Ratio), ratio(t.RatioByCPU), t.Against,
			duration(t.P50), duration(t.P99), ratio(t.P99Ratio), duration(t.CPU), number(t.Allocs), number(t.Bytes)})
	}
	return []table{goals, targets, r.overloadTable(), r.memoryTable()}
}

// number has no more digits than such a measurement means.
func number(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", v)
}

func ratio(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", v)
}

func duration(us float64) string {
	switch {
	case us == 0:
		return ""
	case us < 1000:
		return fmt.Sprintf("%.0f µs", us)
	case us < 1e6:
		return fmt.Sprintf("%.1f ms", us/1000)
	default:
		return fmt.Sprintf("%.2f s", us/1e6)
	}
}

func megabytes(b uint64) string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f MiB", float64(b)/(1<<20))
}

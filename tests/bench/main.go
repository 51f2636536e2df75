// Command bench measures the whole server over HTTP, as ratios to what the same Caddy does without the plugin: those hold from one
// machine to the next, where requests per second do not.
//
//	go run ./tests/bench
//
// The server is a process of its own with GOMAXPROCS=1. The load generator, which is also the upstream of proxies and the issuer
// of tokens from elsewhere, is another. A target and what it is compared with take turns. The program fails if a request does, and
// never because something is slow.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // what stock Caddy has

	_ "github.com/caddy-m2m/caddy-m2m" // this plugin
)

type options struct {
	rounds, connections, procs, clients int
	duration                            time.Duration
	targets                             string
	overload                            bool
	overloads                           string
	flood, bystanders                   int
	soak                                bool
	requests, reloads                   int
	peer, profile, format               string
	short                               bool
}

func parseOptions() (o options) {
	json, markdown := false, false
	flag.IntVar(&o.rounds, "rounds", 4, "rounds in which the targets take turns; the medians of them are printed")
	flag.DurationVar(&o.duration, "duration", 2*time.Second, "time for a target in each round")
	flag.IntVar(&o.connections, "connections", 32, "connections to each target")
	flag.IntVar(&o.procs, "procs", 1, "GOMAXPROCS of the server")
	flag.IntVar(&o.clients, "clients", 100_000, "clients of the large registry")
	flag.StringVar(&o.targets, "targets", "", "regular expression of the names of targets; default all, and without overload otherwise")
	flag.BoolVar(&o.overload, "overload", true, "also measure overload")
	flag.StringVar(&o.overloads, "overloads", "", "regular expression of the names of overloads; default all, if all targets are measured")
	flag.IntVar(&o.flood, "flood", 2000, "connections of a flood")
	flag.IntVar(&o.bystanders, "bystanders", 16, "connections of what is measured during a flood")
	flag.BoolVar(&o.soak, "soak", false, "instead: check that memory and goroutines stay where they are")
	flag.IntVar(&o.requests, "requests", 300_000, "requests of the soak")
	flag.IntVar(&o.reloads, "reloads", 300, "config reloads of the soak")
	flag.StringVar(&o.peer, "peer", "", "folder of the peer to compare with, such as tests/bench/peer")
	flag.StringVar(&o.profile, "profile", "", "folder for a CPU and an allocation profile of each target")
	flag.BoolVar(&json, "json", false, "print JSON")
	flag.BoolVar(&markdown, "markdown", false, "print the tables of docs/performance.md")
	flag.BoolVar(&o.short, "short", false, "only check that everything works; the numbers say nothing")
	flag.Parse()
	switch {
	case json:
		o.format = "json"
	case markdown:
		o.format = "markdown"
	}
	if o.short {
		o.rounds, o.duration, o.clients, o.flood = 1, 100*time.Millisecond, 1000, 100
	}
	return o
}

func main() {
	switch os.Getenv(role) {
	case "server":
		caddycmd.Main()
		return
	case "flood":
		exitOn(flood(os.Stdin, os.Stdout))
		return
	}
	o := parseOptions()
	if flag.NArg() > 0 {
		exitOn(fmt.Errorf("unexpected argument %q", flag.Arg(0)))
	}
	runtime.GOMAXPROCS(max(1, runtime.NumCPU()-o.procs)) // the rest is the server's
	exitOn(run(o))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run ends early, and leaves nothing behind, when the program is interrupted.
func run(o options) error {
	f, err := newFixture(o.procs)
	if f != nil {
		defer f.close()
	}
	if err != nil {
		return err
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- measure(f, o) }()
	select {
	case err := <-done:
		return err
	case <-interrupted:
		return errors.New("interrupted")
	}
}

func measure(f *fixture, o options) error {
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return err
		}
	}
	if o.soak {
		return soak(f, o)
	}
	r := newReport(f, o)
	c, err := newComparison(f, o)
	defer c.close()
	if err == nil {
		err = c.run(o, progress)
	}
	if err == nil && o.profile != "" {
		err = c.profile(o)
	}
	if err != nil {
		return err
	}
	r.Rows = c.rows()
	c.close()
	if o.overload && (o.targets == "" || o.overloads != "") {
		if err := r.measureOverload(f, o); err != nil {
			return err
		}
	}
	r.Goals = r.goals()
	return r.print(os.Stdout, o.format)
}

func progress(what string) { fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), what) }

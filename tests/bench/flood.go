package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"
)

// floodSpec is what a flooding process does. It goes on until its input ends.
type floodSpec struct {
	Address     string
	Connections int
	Requests    [][]byte // one after another, unless Scopes
	Scopes      int      // each request asks for that many other scopes, as Client
	Client      string
	Secret      string
	Waits       bool // as long as Retry-After says; else it sends the next request at once
}

// floodResult is what a flood met. Times are of all answers, refusals included.
type floodResult struct {
	Statuses map[int]int // 0: no answer
	P50, P99 time.Duration
	Took     time.Duration
}

// flooding is a flood as its starter sees it.
type flooding struct {
	process *process
	input   io.Closer
	output  *bufio.Reader
}

// startFlood runs a flood in a process of its own, and returns once every connection is open and had time to send.
func (f *fixture) startFlood(spec floodSpec, settle time.Duration) (*flooding, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), role+"=flood", "GOMAXPROCS=1")
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	reader, writer, err := os.Pipe() // Wait would close the end of a StdoutPipe before the result is read
	if err != nil {
		return nil, err
	}
	command.Stdout = writer
	started, err := f.run(command)
	_ = writer.Close()
	if err != nil {
		return nil, err
	}
	flood := &flooding{process: started, input: input, output: bufio.NewReader(reader)}
	if err := json.NewEncoder(input).Encode(spec); err != nil {
		return nil, err
	}
	if _, err := flood.output.ReadString('\n'); err != nil {
		return nil, fmt.Errorf("starting a flood: %w", err)
	}
	time.Sleep(settle)
	return flood, nil
}

// end stops the flood.
func (f *flooding) end() (r floodResult, err error) {
	_ = f.input.Close()
	err = json.NewDecoder(f.output).Decode(&r)
	f.process.stop()
	return r, err
}

// flood is the whole of a flooding process: it reads the spec, says when its connections are open, and prints the result.
func flood(input io.Reader, output io.Writer) error {
	var spec floodSpec
	decoder := json.NewDecoder(input)
	if err := decoder.Decode(&spec); err != nil {
		return err
	}
	conns := make([]*conn, spec.Connections)
	for i := range conns {
		conns[i] = &conn{address: spec.Address}
		if err := conns[i].open(); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(output, "open\n"); err != nil {
		return err
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), input))
		close(stop)
	}()
	return json.NewEncoder(output).Encode(spec.run(conns, stop))
}

// run floods until stop is closed.
func (spec floodSpec) run(conns []*conn, stop <-chan struct{}) floodResult {
	var (
		mu        sync.Mutex
		group     sync.WaitGroup
		latencies []time.Duration
		start     = time.Now()
		result    = floodResult{Statuses: make(map[int]int)}
	)
	for i, c := range conns {
		group.Go(func() {
			next := spec.requests(i)
			var own []time.Duration
			statuses := make(map[int]int)
			for stopped := false; !stopped; {
				request, began := next(), time.Now()
				status, err := c.do(request)
				if err != nil {
					status = 0
				}
				select {
				case <-stop: // what is in flight at the end does not count
					stopped = true
				default:
					statuses[status]++
					own = append(own, time.Since(began))
					spec.pause(c, err, stop)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, own...)
			for status, n := range statuses {
				result.Statuses[status] += n
			}
		})
	}
	<-stop
	result.Took = time.Since(start)
	for _, c := range conns {
		_ = c.SetDeadline(time.Now().Add(time.Second))
	}
	group.Wait()
	slices.Sort(latencies)
	result.P50, result.P99 = quantile(latencies, 0.5), quantile(latencies, 0.99)
	return result
}

// pause waits between two requests of a connection.
func (spec floodSpec) pause(c *conn, err error, stop <-chan struct{}) {
	var d time.Duration
	switch {
	case err != nil:
		d = 10 * time.Millisecond
	case spec.Waits:
		d = time.Duration(c.wait) * time.Second
	}
	if d == 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-stop:
	}
}

// requests returns what makes the requests of a connection.
func (spec floodSpec) requests(connection int) func() []byte {
	if spec.Scopes == 0 {
		i := connection
		return func() []byte {
			i++
			return spec.Requests[i%len(spec.Requests)]
		}
	}
	f := &fixture{secret: spec.Secret}
	other := f.otherScopes(func() string { return spec.Address }, spec.Client, spec.Scopes)
	return func() []byte {
		requests, _ := other.make(1)
		return requests[0]
	}
}

// share describes how many answers had which status.
func share(statuses map[int]int) string {
	total, text := 0, ""
	for _, n := range statuses {
		total += n
	}
	for _, status := range slices.Sorted(maps.Keys(statuses)) {
		name := strconv.Itoa(status)
		if status == 0 {
			name = "none"
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%.1f %% %s", 100*float64(statuses[status])/float64(total), name)
	}
	return text
}

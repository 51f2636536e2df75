package main

import (
	"io"
	"os"
	"os/exec"
	"sync"
)

// role is the environment variable that tells a process of this program what it is. The first one has none.
const role = "BENCH_ROLE"

// process is another process of this program, or one that it has built.
type process struct {
	*os.Process
	ended chan struct{}
}

// processes are those that have to end when the run ends.
type processes struct {
	mu  sync.Mutex
	all []*process
}

// start runs this program once more. Output takes what it prints.
func (p *processes) start(output io.Writer, environment []string, arguments ...string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(program, arguments...)
	command.Env = append(os.Environ(), environment...)
	command.Stdout, command.Stderr = output, output
	return p.run(command)
}

// run starts a command.
func (p *processes) run(command *exec.Cmd) (*process, error) {
	if err := command.Start(); err != nil {
		return nil, err
	}
	started := &process{Process: command.Process, ended: make(chan struct{})}
	go func() {
		_ = command.Wait()
		close(started.ended)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, started)
	return started, nil
}

func (p *process) stop() {
	_ = p.Kill()
	<-p.ended
}

func (p *processes) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, started := range p.all {
		started.stop()
	}
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// peer is another token server, in a process of its own. See peer/main.go.
type peer struct {
	*process
	address string
}

// startPeer builds the peer in a folder with a go.mod and runs it.
func startPeer(f *fixture, folder string) (*peer, error) {
	program := filepath.Join(f.dir, "peer")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir, build.Stderr = folder, os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("building the peer: %w", err)
	}
	p := &peer{address: freeAddress()}
	command := exec.Command(program, p.address, demo(0))
	command.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(f.procs), "CLIENT_SECRET="+f.secret)
	command.Stderr = os.Stderr
	var err error
	if p.process, err = f.run(command); err != nil {
		return nil, err
	}
	for {
		c := conn{address: p.address}
		if err := c.open(); err == nil {
			c.hangUp()
			return p, nil
		}
		select {
		case <-p.ended:
			return nil, errors.New("starting the peer: it ended")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// cpu is what the process has taken so far, in the clock ticks of Linux.
func (p *peer) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		return 0 // not Linux
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / 100
}

// peerTargets compares the peer with the limit handler of a server that does nothing else.
func (c *comparison) peerTargets(o options, chosen *regexp.Regexp) error {
	if o.peer == "" {
		return nil
	}
	s := new(server)
	sign := c.limit("sign-peer", s)
	t := &target{name: "peer", what: "fosite, without policy or log", server: s, against: sign, site: "peer",
		source: c.fixture.tokensOf(func() string { return s.site("peer") }, tokenPath, 1)}
	if !c.add(chosen, t) {
		return nil
	}
	if err := c.start(s, "beside-the-peer", serverOptions{}, demoClients); err != nil {
		return err
	}
	var err error
	if c.peer, err = startPeer(c.fixture, o.peer); err != nil {
		return err
	}
	s.sites["peer"] = c.peer.address
	t.cpu = c.peer.cpu
	return nil
}

package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A cluster is the set of processes that ./run started.
type cluster struct {
	issuer string // its URL, which is the load balancer's
	a, b   node
	edge   string // the URL of the door that only validates tokens
	caddy  string // the program
	state  string // the folder of Redis's data, the logs and the process IDs
	port   int    // the first
}

type node struct{ name, url, admin string }

func newCluster() *cluster {
	port, err := strconv.Atoi(os.Getenv("PORT"))
	if err != nil {
		log.Fatal("PORT is not set: run ./check")
	}
	at := func(n int) string { return fmt.Sprintf("localhost:%d", port+n) }
	return &cluster{
		issuer: "http://" + at(0),
		a:      node{"node A", "http://" + at(1), at(3)},
		b:      node{"node B", "http://" + at(2), at(4)},
		edge:   "http://" + at(5),
		caddy:  os.Getenv("CADDY"), state: os.Getenv("STATE"), port: port,
	}
}

func (c *cluster) nodes() []node { return []node{c.a, c.b} }

// m2m returns the output of a caddy m2m command.
func (c *cluster) m2m(arguments ...string) (output string, ok bool) {
	printed, err := exec.Command(c.caddy, append([]string{"m2m"}, arguments...)...).CombinedOutput()
	return string(printed), err == nil
}

func (c *cluster) mustM2M(arguments ...string) string {
	output, ok := c.m2m(arguments...)
	if !ok {
		log.Fatalf("caddy m2m %s: %s", strings.Join(arguments, " "), output)
	}
	return output
}

func (c *cluster) healthy(n node) bool { _, ok := c.m2m("status", "--address", n.admin); return ok }

// saysNotHealthy reports whether both the status and the metrics of a node say that it is not healthy.
func (c *cluster) saysNotHealthy(n node) bool {
	output, ok := c.m2m("status", "--address", n.admin)
	for _, kind := range []string{"registry", "keys", "revocations"} {
		ok = ok || n.metric("caddy_m2m_reload_healthy", kind) != "0"
	}
	return !ok && strings.Contains(output, "NOT HEALTHY")
}

// metric returns the value of a node's metric, of the given kind unless it is empty.
func (n node) metric(name, kind string) string {
	a := mustAsk("GET", "http://"+n.admin+"/metrics", "")
	for line := range strings.Lines(a.body) {
		if strings.HasPrefix(line, name+"{") && (kind == "" || strings.Contains(line, `kind="`+kind+`"`)) {
			return line[strings.LastIndexByte(line, ' ')+1 : len(line)-1]
		}
	}
	return ""
}

// killRedis kills Redis without a clean shutdown.
func (c *cluster) killRedis() {
	content, err := os.ReadFile(filepath.Join(c.state, "redis.pid"))
	if err != nil {
		log.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		log.Fatalf("killing Redis: %v", err)
	}
	eventually("Redis is gone", func() bool { return c.redis("PING") == "" })
}

// startRedis starts Redis on a folder of data.
func (c *cluster) startRedis(folder string) {
	folder = filepath.Join(c.state, folder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		log.Fatal(err)
	}
	redis := exec.Command("redis-server", "redis.conf", "--port", strconv.Itoa(c.port+6), "--dir", folder, "--logfile", filepath.Join(c.state, "redis.log"))
	if err := redis.Start(); err != nil {
		log.Fatal(err)
	}
	go func() { _ = redis.Wait() }() // Redis will be killed
	if err := os.WriteFile(filepath.Join(c.state, "redis.pid"), fmt.Appendln(nil, redis.Process.Pid), 0o600); err != nil {
		log.Fatal(err)
	}
}

// redis returns the answer of Redis, or "" if Redis does not run.
func (c *cluster) redis(command string) string {
	connection, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", c.port+6), time.Second)
	if err != nil {
		return ""
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(connection, "%s\r\nQUIT\r\n", command)
	var answer strings.Builder
	for buffer := make([]byte, 1<<16); ; {
		n, err := connection.Read(buffer)
		answer.Write(buffer[:n])
		if err != nil {
			return answer.String()
		}
	}
}

// reload loads the same config again. The new instance has an empty memory, and reads everything from storage.
func (c *cluster) reload(n node, port int) {
	reload := exec.Command(c.caddy, "reload", "--config", "node.Caddyfile", "--force", "--address", n.admin)
	_, admin, _ := strings.Cut(n.admin, ":")
	reload.Env = append(os.Environ(), fmt.Sprintf("NODE_PORT=%d", port), "NODE_ADMIN="+admin, fmt.Sprintf("REDIS_PORT=%d", c.port+6))
	if output, err := reload.CombinedOutput(); err != nil {
		log.Fatalf("reloading %s: %s", n.name, output)
	}
}

// eventually waits until the condition holds, for at most 40 seconds, and returns how long it waited.
func eventually(what string, is func() bool) time.Duration {
	for begun := time.Now(); time.Since(begun) < 40*time.Second; time.Sleep(50 * time.Millisecond) {
		if is() {
			return time.Since(begun)
		}
	}
	log.Fatalf("timed out waiting until %s", what)
	return 0
}

// want ends the check unless the condition holds.
func want(ok bool, format string, values ...any) {
	if !ok {
		log.Fatalf("wrong: "+format, values...)
	}
}

package cli

import (
	"cmp"
	"embed"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"text/template"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
)

//go:embed dev_files
var devFiles embed.FS

var devTemplates = template.Must(template.ParseFS(devFiles, "dev_files/*.tmpl"))

// devServer is the data of the templates of `caddy m2m dev`.
type devServer struct {
	Issuer, Other string // URLs of the site: by name, which is the issuer's, and by address
	Bind, Admin   string
	Dir           string // holds the state, and is absolute
	Temporary     bool
	Program       string // how a shell finds this program
	Address       string // the flag with which commands find the admin endpoint, if they need one
}

// newDevServer checks the flags, and then makes the folder of the state.
func newDevServer(f *devFlags, defaultAdmin string) (*devServer, error) {
	listen, err := parseLoopback("listen", f.listen)
	if err != nil {
		return nil, err
	}
	admin, err := parseLoopback("admin", f.admin)
	if err != nil {
		return nil, err
	}
	if err := checkFree(listen, admin); err != nil {
		return nil, err
	}
	s := &devServer{
		Issuer:  "http://" + listen.name + ":" + listen.port,
		Other:   "http://" + listen.String(),
		Bind:    strings.TrimSuffix(listen.String(), ":"+listen.port),
		Admin:   admin.String(),
		Program: programName(),
	}
	if s.Admin != defaultAdmin && s.Admin != strings.Replace(defaultAdmin, "localhost", "127.0.0.1", 1) {
		s.Address = " --address " + s.Admin
	}
	return s, s.makeDir(f.dir)
}

// loopback is an address that no other machine reaches.
type loopback struct{ flag, name, host, port string }

func (l loopback) String() string { return net.JoinHostPort(l.host, l.port) }

func parseLoopback(flag, address string) (loopback, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return loopback{}, fmt.Errorf("--%s %s: give a host and a port, such as 127.0.0.1:8080", flag, address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return loopback{}, fmt.Errorf("--%s %s: the port is a number from 1 to 65535", flag, address)
	}
	name := "localhost"
	switch _, ipErr := netip.ParseAddr(host); {
	case host == "127.0.0.1" || host == "::1":
	case ipErr != nil && fetch.IsLoopback(host):
		name, host = fetch.LowerASCII(host), "127.0.0.1"
	default:
		return loopback{}, fmt.Errorf("--%s %s is not on loopback: this server is for trying things out on one machine; "+
			"give 127.0.0.1:%s, or run Caddy with a config of your own", flag, address, port)
	}
	return loopback{flag, name, host, port}, nil
}

// checkFree fails if another process listens on one of the addresses. Caddy itself would share the port, and requests
// would go to either process.
func checkFree(addresses ...loopback) error {
	for _, address := range addresses {
		listener, err := net.Listen("tcp", address.String())
		if err != nil {
			return fmt.Errorf("%w; choose another address with --%s", err, address.flag)
		}
		defer listener.Close() // only then, so that the two addresses must differ
	}
	return nil
}

// makeDir makes the folder of the state, which is temporary if name is empty.
func (s *devServer) makeDir(name string) (err error) {
	s.Temporary = name == ""
	if s.Dir, err = filepath.Abs(cmp.Or(name, os.TempDir())); err != nil {
		return err
	}
	if strings.ContainsAny(s.Dir, "{}\"'\n") {
		return fmt.Errorf("%q has braces, quotes or line breaks, which mean something else in a Caddyfile or a shell; choose another folder with --dir", s.Dir)
	}
	if s.Temporary {
		s.Dir, err = os.MkdirTemp(s.Dir, "caddy-m2m-dev-")
		return err
	}
	return os.MkdirAll(s.Dir, 0o700)
}

func (s *devServer) path(elem ...string) string {
	return filepath.Join(append([]string{s.Dir}, elem...)...)
}

// programName is "caddy" if a shell finds this program by that name, and otherwise its path: another Caddy may lack this
// plugin. A program that "go run" has built has no path that lasts.
func programName() string {
	self, err := os.Executable()
	if err != nil {
		return "caddy"
	}
	if info, ok := debug.ReadBuildInfo(); ok && isOfGoRun(self) && info.Path != "" {
		return "go run " + goRunArgument(info.Path, info.Main.Path)
	}
	found, err := exec.LookPath("caddy")
	if err != nil {
		return self
	}
	a, errA := os.Stat(self)
	b, errB := os.Stat(found)
	if cmp.Or(errA, errB) == nil && os.SameFile(a, b) {
		return "caddy"
	}
	return self
}

// isOfGoRun reports whether "go run" has built a program: it is then in a folder that is removed, or in the build cache.
func isOfGoRun(program string) bool {
	cache := os.Getenv("GOCACHE")
	return strings.Contains(filepath.ToSlash(program), "/go-build") ||
		cache != "" && strings.HasPrefix(program, filepath.Clean(cache)+string(filepath.Separator))
}

// goRunArgument is a package as "go run" takes it: its path in the module if that is the current folder.
func goRunArgument(pkg, module string) string {
	within, ok := strings.CutPrefix(pkg, module+"/")
	if files, err := filepath.Glob(filepath.FromSlash(path.Join(within, "*.go"))); ok && err == nil && len(files) > 0 {
		return "./" + within
	}
	return pkg
}

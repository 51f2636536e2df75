package cli

import "testing"

func TestProgramOfGoRun(t *testing.T) {
	t.Setenv("GOCACHE", "/caches/go")
	for program, want := range map[string]bool{
		"/tmp/go-build1216275204/b001/exe/caddy": true, "/home/a/.cache/go-build/5f/5f00-d/caddy": true, "/caches/go/5f/5f00-d/caddy": true,
		"/usr/bin/caddy": false, "/caches/gone/caddy": false,
	} {
		if got := isOfGoRun(program); got != want {
			t.Errorf("%s: %t", program, got)
		}
	}
	const module = "example.com/x/y"
	t.Chdir("../..")
	if got := goRunArgument(module+"/cmd/caddy", module); got != "./cmd/caddy" {
		t.Errorf("in the module: %s", got)
	}
	t.Chdir(t.TempDir())
	if got := goRunArgument(module+"/cmd/caddy", module); got != module+"/cmd/caddy" {
		t.Errorf("elsewhere: %s", got)
	}
}

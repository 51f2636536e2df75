package caddymodule_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// newKeyPair is a new EC key, in PEM.
func newKeyPair() (private, public []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	privateDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		panic(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: privateDER}),
		pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})
}

// exitCode runs a command that is to end with this very code.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode code command...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code is %d, want %d", got, want)
	}
}

// bundleHolds takes a bundle and the names of all of its files, sorted.
func bundleHolds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: bundleholds bundle file...")
	}
	unzipped, err := gzip.NewReader(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	var names []string
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		ts.Check(err)
		names = append(names, strings.TrimPrefix(header.Name, "/"))
	}
	slices.Sort(names)
	if !slices.Equal(names, args[1:]) {
		ts.Fatalf("%s holds %q", args[0], names)
	}
}

// spoil overwrites every file below a folder, and puts another beside each.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: spoil folder")
	}
	spoilt := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		spoilt++
		return errors.Join(os.WriteFile(name, []byte("spoilt"), 0o600),
			os.WriteFile(filepath.Join(filepath.Dir(name), "other"+filepath.Ext(name)), []byte("other"), 0o600))
	}))
	if spoilt == 0 {
		ts.Fatalf("nothing is below %s", args[0])
	}
}

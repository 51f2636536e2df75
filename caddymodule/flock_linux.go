package caddymodule

import (
	"errors"
	"os"
	"syscall"
)

// flock takes the flock(2) on an open file if nobody has it. Another opening of the same file, also in this process, is
// somebody else. It ends when the file is closed.
func flock(file *os.File) bool {
	connection, err := file.SyscallConn()
	if err != nil {
		return false
	}
	var failed error
	err = connection.Control(func(fd uintptr) { failed = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) })
	return err == nil && failed == nil
}

// deviceOf names the file system that a file is on.
func deviceOf(file *os.File) (uint64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	return uint64(stat.Dev), nil
}

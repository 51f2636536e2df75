package storage

import (
	"errors"
	"os"
	"syscall"
)

// flock takes the flock(2) on an open file, and reports whether it got it. It does not wait. A file that is opened
// twice, also by one process, can have it once. Closing the file releases it.
func flock(file *os.File) bool {
	connection, err := file.SyscallConn()
	if err != nil {
		return false
	}
	var failed error
	err = connection.Control(func(fd uintptr) { failed = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) })
	return err == nil && failed == nil
}

// deviceOf returns the number of the file system that a file is on. It fails where the system gives no number.
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

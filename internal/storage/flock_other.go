//go:build !linux

package storage

import (
	"errors"
	"os"
)

// flock is not called on this system, where bootID is "".
func flock(*os.File) bool { return false }

func deviceOf(*os.File) (uint64, error) { return 0, errors.ErrUnsupported }

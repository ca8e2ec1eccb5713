//go:build unix

package collect

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock takes a lock that ends with the process, however it ends.
func lock(name string) (*os.File, error) {
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("locking the snapshot: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			_ = f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("%s: %w", name, ErrLocked)
			}
			return nil, fmt.Errorf("locking the snapshot: %w", err)
		}
		// A run that ends removes the file: what was locked may be one that has no name any more.
		mine, err := f.Stat()
		if there, err2 := os.Stat(name); err == nil && err2 == nil && os.SameFile(mine, there) {
			return f, nil
		}
		_ = f.Close()
	}
}

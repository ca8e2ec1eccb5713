package collect

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// exchange puts the new snapshot where the old one is, and the old one where the new was, at once.
func exchange(fresh, old string) error {
	err := unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, old, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return exchangeByTwo(fresh, old)
	}
	if err != nil {
		return fmt.Errorf("putting the snapshot into its place: %w", err)
	}
	return syncDir(filepath.Dir(old))
}

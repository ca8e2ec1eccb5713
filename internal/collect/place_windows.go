package collect

import (
	"fmt"
	"os"
)

// lock keeps other runs away: Windows lets nobody remove a file that is open, and a second run cannot make it.
func lock(name string) (*os.File, error) {
	_ = os.Remove(name) // of a run that was killed; this fails while a run is at work
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return nil, fmt.Errorf("%s: %w", name, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the snapshot: %w", err)
	}
	return f, nil
}

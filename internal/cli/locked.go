package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// errStale: a file is not what it was when the change was worked out.
var errStale = errors.New("was changed by somebody else meanwhile: do it again")

// change reads a file, has it changed, and puts the new text in its place as a whole or not at all. Whoever else changes it waits, in this
// process and in others: the file is locked, and is the one of that name still when the lock is had. nil leaves it as it is.
func change(name string, do func(old []byte) ([]byte, error)) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	for {
		f, err := lockedfile.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if there, err := os.Stat(name); err == nil {
			if held, err := f.Stat(); err == nil && !os.SameFile(there, held) {
				f.Close() // it was replaced while we waited
				continue
			}
		}
		err = func() error {
			old, err := io.ReadAll(f)
			if err != nil {
				return err
			}
			text, err := do(old)
			if err != nil || text == nil {
				return err
			}
			return replace(name, text)
		}()
		if e := f.Close(); err == nil && e != nil {
			err = fmt.Errorf("%s: %w", name, e)
		}
		return err
	}
}

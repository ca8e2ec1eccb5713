package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// ErrBackup says that a store cannot be copied like this.
var ErrBackup = errors.New("this store is not copied into a file")

// Backup writes a copy of the store, as it is at one moment, into a file that is not there yet; daemons may go on meanwhile. Only SQLite is copied: PostgreSQL has its own means.
func (s *Store) Backup(ctx context.Context, name string) error {
	if !s.lite {
		return fmt.Errorf("%w: it is in PostgreSQL, which has pg_dump", ErrBackup)
	}
	// It holds the log and who asked for what: SQLite would make it readable for all. An empty file is one that VACUUM INTO takes.
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("the copy: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("the copy: %w", err)
	}
	if _, err := s.reads.ExecContext(ctx, `VACUUM INTO $1`, name); err != nil {
		return errors.Join(fmt.Errorf("copying the store: %w", err), os.Remove(name))
	}
	return nil
}

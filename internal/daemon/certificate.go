package daemon

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is the daemon's own, from two files that something renews: they are read again when they have changed, so that a renewal needs no restart. A pair that cannot be read leaves the one in force that there is, and is told.
type certificate struct {
	file, key string
	log       *slog.Logger
	now       func() time.Time

	mu      sync.Mutex
	looked  time.Time
	changed time.Time // the later one of the files, as they were read
	pair    *tls.Certificate
}

// certificateEvery is how often the files are looked at.
const certificateEvery = 10 * time.Second

// load reads the files.
func (c *certificate) load() error {
	changed, err := c.modified()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.file, c.key)
	if err != nil {
		return fmt.Errorf("the certificate in %s with its key: %w", c.file, err)
	}
	c.pair, c.changed = &pair, changed
	return nil
}

func (c *certificate) modified() (latest time.Time, err error) {
	for _, name := range []string{c.file, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return time.Time{}, fmt.Errorf("the certificate: %w", err)
		}
		if info.ModTime().After(latest) {
			latest = info.ModTime()
		}
	}
	return latest, nil
}

// get implements tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked).Abs() < certificateEvery {
		return c.pair, nil
	}
	c.looked = now
	switch changed, err := c.modified(); {
	case err != nil:
		c.log.Error("the certificate cannot be read again; the old one is used", "error", err)
	case !changed.Equal(c.changed):
		if err := c.load(); err != nil {
			c.log.Error("the certificate cannot be read again; the old one is used", "error", err)
		} else {
			c.log.Info("the certificate was renewed", "until", c.pair.Leaf.NotAfter)
		}
	}
	return c.pair, nil
}

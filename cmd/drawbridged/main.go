// Command drawbridged is the daemon: the broker with its faces.
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"drawbridge/internal/daemon"
)

func main() {
	root := &cobra.Command{Use: "drawbridged", Short: "The broker of cross-account access", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(serve(), check(), backup())
	if err := root.ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "drawbridged:", err)
		if errors.Is(err, daemon.ErrConfig) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func serve() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer requests until told to stop",
		Long: `Serve answers on the address of the configuration. Without one it runs a local setup: on loopback only, with everything in one folder, for one person, and prints how to call it.

It stops on an interrupt, and finishes what was begun before it does.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			cfg, local, err := configuration(file)
			if err != nil {
				return err
			}
			log := logger(cfg, os.Stderr)
			d, err := daemon.New(ctx, cfg, local, log)
			if err != nil {
				return err
			}
			l, err := net.Listen("tcp", cfg.Listen)
			if err != nil {
				return err
			}
			if local {
				fmt.Fprintf(os.Stderr, `A local setup: this machine only, one person, no AWS account is touched before you register one.

  export DRAWBRIDGE_URL=%s
  export DRAWBRIDGE_TOKEN=%s     # good for twelve hours

`, cfg.URL, d.Token)
			}
			log.Info("answering", "listen", l.Addr().String(), "url", cfg.URL)
			return d.Serve(ctx, l)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the configuration `FILE`; without one a local setup")
	return c
}

func check() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Check a configuration, and say what would run",
		Long:  `Reads the configuration, its registry, keys and certificate, and says what would run. The store is not opened, nobody is asked anything, and no secret is printed. The exit status is 2 where the configuration is wrong.`,
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, local, err := configuration(file)
			if err != nil {
				return err
			}
			lines, err := cfg.Describe(local)
			for _, line := range lines {
				fmt.Println(line)
			}
			return err
		},
	}
	c.Flags().StringVar(&file, "config", "", "the configuration `FILE`; without one a local setup")
	return c
}

func backup() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "backup FILE --config FILE",
		Short: "Copy the store into a file, while the daemon goes on",
		Long: `Copies the store, as it is at one moment, into a file that is not there yet. The daemon may go on meanwhile. Only SQLite is copied: of PostgreSQL use its own means.

To restore it, stop the daemon and put the file where the store was. A daemon whose log does not extend the checkpoints that were published refuses to issue: what was taken back since the copy was made is not known to it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, _, err := configuration(file)
			if err != nil {
				return err
			}
			return daemon.Backup(c.Context(), cfg, args[0])
		},
	}
	c.Flags().StringVar(&file, "config", "", "the configuration `FILE`; without one a local setup")
	return c
}

func configuration(file string) (c *daemon.Config, local bool, err error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, false, err
		}
		c, err := daemon.ParseConfig(file, text)
		return c, false, err
	}
	folder, err := os.UserConfigDir()
	if err != nil {
		return nil, false, err
	}
	folder = filepath.Join(folder, "drawbridge")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, false, err
	}
	c = daemon.Local(folder)
	if err := seal(c.Keys.Seal[0]); err != nil {
		return nil, false, err
	}
	return c, true, nil
}

// seal makes the key under which the secrets of a local setup's keys are kept, where there is none.
func seal(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key[:]) + "\n")
	return errors.Join(err, f.Close())
}

func logger(c *daemon.Config, out io.Writer) *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(c.Log.Level)) // "" leaves it; others were checked
	options := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}

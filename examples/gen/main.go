// Command gen writes the example organisation of examples/acme: a made-up company of 14 accounts whose policies show the five
// situations that cross-account access is made of, each done right and done wrong. Everything in it is invented. The output is
// the directory form of docs/snapshot.md; it is committed, and a test holds it against this program.
//
// One file here is one part of the story: organization.go (accounts, units, SCPs, RCPs), everyday.go (what every account has),
// and deploy.go, pipeline.go, agent.go, monitoring.go and recovery.go (the situations). document.go is the notation for
// policies, files.go the form on disk. crossings.go is who crossed in the three months before, cloudtrail.go how CloudTrail tells it. examples/acme/README.md walks through the result; where it names a rule, a test looks
// whether the rule speaks up.
package main

//go:generate go run . -o ../acme -trail ../acme-cloudtrail

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := flag.String("o", filepath.Join("examples", "acme"), "write to this `FOLDER`")
	trail := flag.String("trail", filepath.Join("examples", "acme-cloudtrail"), "write what CloudTrail recorded to this `FOLDER`")
	flag.Parse()
	err := write(*dir, acme().files())
	if err == nil {
		err = writeTrail(*trail, crossings().files())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write replaces the accounts of the folder and the files beside them; what people wrote there (README.md) stays.
func write(dir string, files map[string][]byte) error {
	if err := os.RemoveAll(filepath.Join(dir, "accounts")); err != nil {
		return err
	}
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// acme tells the whole story.
func acme() *organization {
	o := newOrganization()
	everyday(o)
	deploying(o)
	pipeline(o)
	agents(o)
	monitoring(o)
	recovering(o)
	missing(o)
	return o
}

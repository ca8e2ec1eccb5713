package remedy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// script collects commands of the AWS CLI as a shell script that can be read, and run as it is: the documents that a command reads are
// written in front of it. It uses the profile that has an account's id as its name.
type script struct {
	strings.Builder
	account string
}

// in goes on in another account.
func (s *script) in(account string) {
	if account == s.account || account == "" {
		return
	}
	s.account = account
	fmt.Fprintf(s, "export AWS_PROFILE=%s   # credentials of this account\n", account)
}

// fileRead is a document that a command reads.
var fileRead = regexp.MustCompile(`(?:file://|--rawfile policy )(\S+)`)

// command adds a command; where it reads a document, document writes it first. Nil: it is there already.
func (s *script) command(line string, document []byte) {
	if m := fileRead.FindStringSubmatch(line); m != nil && len(document) > 0 {
		fmt.Fprintf(s, "cat > %s <<'JSON'\n%s\nJSON\n", m[1], strings.TrimSpace(string(document)))
	}
	s.WriteString(line + "\n")
}

// Script is what is open of the plan as a shell script, in its order.
func (p *Plan) Script() (string, error) {
	s := &script{}
	fmt.Fprintf(s, "#!/bin/sh\n# What is open of the offboarding of %s, planned on %s.\nset -eu\n", p.Vendor, p.Made.Format(time.DateOnly))
	for i := range p.Items {
		it := &p.Items[i]
		if it.State != Open || len(it.Commands) == 0 {
			continue
		}
		var after []byte
		if len(it.After) > 0 {
			indented, err := json.MarshalIndent(it.After, "", "  ")
			if err != nil {
				return "", fmt.Errorf("item %s: %w", it.ID, err)
			}
			after = indented
		}
		fmt.Fprintf(s, "\n# %d. %s of %s: %s\n", i+1, it.Kind, it.Target, it.What)
		s.in(it.Account)
		for _, line := range it.Commands {
			s.command(line, after)
		}
	}
	return s.String(), nil
}

// Script is the next step of a removal as a shell script; empty where that is to wait.
func (r *Removal) Script(now time.Time) string {
	step := r.Next(now)
	s := &script{}
	if step == 2 {
		return ""
	}
	s.in(r.Account)
	document := indented(r.Shut)
	if step == 3 && r.After != nil {
		document = indented(r.After)
	}
	for _, line := range r.Commands(step) {
		s.command(line, document)
	}
	return s.String()
}

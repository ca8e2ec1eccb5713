package ingest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"drawbridge/internal/change"
	"drawbridge/internal/ingest/terraform"
	"drawbridge/internal/snapshot"
)

// openCode reads a file of infrastructure code as what it states: a Terraform state as it is, a plan as it will be. ok is false where the file is something else.
func openCode(name string) (s *snapshot.Snapshot, ok bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false, fmt.Errorf("opening the input: %w", err)
	}
	defer f.Close()
	if !isTerraform(f) {
		return nil, false, nil
	}
	read := func(from func(*os.File) (*change.Plan, error)) (*change.Plan, error) {
		if _, err := f.Seek(0, 0); err != nil {
			return nil, fmt.Errorf("opening the input: %w", err)
		}
		return from(f)
	}
	o := terraform.Options{File: filepath.Base(name)}
	p, err := read(func(f *os.File) (*change.Plan, error) { return terraform.ReadState(f, o) })
	if errors.Is(err, terraform.ErrNotState) {
		p, err = read(func(f *os.File) (*change.Plan, error) { return terraform.ReadPlan(f, o) })
	}
	if err != nil {
		return nil, true, fmt.Errorf("%s: %w", name, err)
	}
	return change.Snapshot(p), true, nil
}

// isTerraform tells by the first names of a file. Authorization details have none of them.
func isTerraform(f *os.File) bool {
	d := json.NewDecoder(bufio.NewReader(f))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for range 3 { // version, terraform_version, serial; format_version, terraform_version, values
		key, err := d.Token()
		if err != nil {
			return false
		}
		switch key {
		case "format_version", "terraform_version":
			return true
		case "version", "serial", "lineage":
		default:
			return false
		}
		var skip json.RawMessage
		if d.Decode(&skip) != nil {
			return false
		}
	}
	return false
}

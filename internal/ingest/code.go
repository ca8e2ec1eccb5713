package ingest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"

	"drawbridge/internal/change"
	"drawbridge/internal/ingest/cloudformation"
	"drawbridge/internal/ingest/terraform"
	"drawbridge/internal/snapshot"
)

// Code is what infrastructure code does not tell of itself. Zero values mean that it is not known.
type Code struct {
	Account, Region string            // where it makes things, as far as it does not say
	Parameters      map[string]string // of a CloudFormation template
}

func (c Code) empty() bool { return c.Account == "" && c.Region == "" && len(c.Parameters) == 0 }

// ErrNoCode is returned where something is told about code, and the input is none.
var ErrNoCode = errors.New("an account, a region and parameters can be given for a Terraform file and a CloudFormation template, an account also for AWS Config, and this is none of them")

// openCode reads a file of infrastructure code as what it states: a Terraform state and a template as it is, a plan and a change set as it will be. ok is false where the file is something else.
func openCode(name string, c Code) (s *snapshot.Snapshot, ok bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false, fmt.Errorf("opening the input: %w", err)
	}
	defer f.Close()
	var p *change.Plan
	if isTerraform(f) {
		p, err = openTerraform(f, name, c)
	} else {
		p, ok, err = openStack(f, name, c)
		if err == nil && !ok {
			return nil, false, nil
		}
	}
	if err != nil {
		return nil, true, err
	}
	return change.Snapshot(p), true, nil
}

func openTerraform(f *os.File, name string, c Code) (*change.Plan, error) {
	if len(c.Parameters) > 0 {
		return nil, fmt.Errorf("%s: a Terraform file has no parameters", name)
	}
	read := func(from func(io.Reader, terraform.Options) (*change.Plan, error)) (*change.Plan, error) {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("opening the input: %w", err)
		}
		return from(f, terraform.Options{File: filepath.Base(name), Account: c.Account, Region: c.Region})
	}
	p, err := read(terraform.ReadState)
	if errors.Is(err, terraform.ErrNotState) {
		p, err = read(terraform.ReadPlan)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// openStack reads a template as what is there, a change set as what will be; ok is false where the file is something else.
func openStack(f *os.File, name string, c Code) (p *change.Plan, ok bool, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, false, fmt.Errorf("opening the input: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, cloudformation.MaxSize+1))
	if err != nil {
		return nil, false, fmt.Errorf("opening the input: %w", err)
	}
	file := cloudformation.File{Name: filepath.ToSlash(name), Data: data}
	o := cloudformation.Options{Account: c.Account, Region: c.Region, Parameters: c.Parameters, Nested: NestedTemplates(), Standing: true}
	switch cloudformation.FormOf(data) {
	case cloudformation.Template:
		p, err = cloudformation.Read(file.Name, data, o)
	case cloudformation.ChangeSet:
		o.Standing = false
		p, err = cloudformation.ReadChange(nil, nil, &file, o)
	default:
		return nil, false, nil
	}
	return p, true, err
}

// NestedTemplates finds the template of a nested stack where its TemplateURL is a path in or below the folder of the file that names it, as before `aws cloudformation package`.
func NestedTemplates() func(parent, location string) (cloudformation.File, bool) {
	return func(parent, location string) (cloudformation.File, bool) {
		if u, err := url.Parse(location); err != nil || u.Scheme != "" || u.Host != "" || !filepath.IsLocal(filepath.FromSlash(location)) {
			return cloudformation.File{}, false
		}
		folder := path.Dir(filepath.ToSlash(parent))
		root, err := os.OpenRoot(filepath.FromSlash(folder))
		if err != nil {
			return cloudformation.File{}, false
		}
		defer root.Close()
		f, err := root.Open(filepath.FromSlash(path.Clean(location)))
		if err != nil {
			return cloudformation.File{}, false
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, cloudformation.MaxSize+1))
		return cloudformation.File{Name: path.Join(folder, location), Data: data}, err == nil
	}
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

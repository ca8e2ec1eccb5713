package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// source is the package as it is read.
type source struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	UpdatedAt string `json:"updatedAt"`

	globals  []key
	rcp      []string
	services []service
}

type service struct {
	name    string
	actions map[string]action
	keys    map[string]key
	types   map[string]resourceType
}

type action struct {
	Name      string   `json:"name"`
	Access    string   `json:"accessLevel"`
	Resources []onType `json:"resourceTypes"`
	Keys      []string `json:"conditionKeys"`
	Dependent []string `json:"dependentActions"`
}

type onType struct {
	Name      string   `json:"name"`
	Required  bool     `json:"required"`
	Keys      []string `json:"conditionKeys"`
	Dependent []string `json:"dependentActions"`
}

type key struct {
	Key  string `json:"key"`
	Type string `json:"type"`
}

type resourceType struct {
	Name string   `json:"key"`
	ARN  string   `json:"arn"`
	Keys []string `json:"conditionKeys"`
}

// day is the day the package says its data is of.
func (s *source) day() string { return s.UpdatedAt[:len("2006-01-02")] }

var day = regexp.MustCompile(`^\d{4}-\d\d-\d\dT`)

// read reads the package. It refuses one in which a part is missing.
func read(files fs.FS) (*source, error) {
	s := new(source)
	if err := decode(files, "package.json", s); err != nil {
		return nil, err
	}
	if s.Name == "" || s.Version == "" || !day.MatchString(s.UpdatedAt) {
		return nil, fmt.Errorf("package.json names no package, version and day: %q %q %q", s.Name, s.Version, s.UpdatedAt)
	}
	if err := decode(files, "data/rcpSupportedServices.json", &s.rcp); err != nil {
		return nil, err
	}
	var err error
	if s.globals, err = globals(files); err != nil {
		return nil, err
	}
	var names []string
	if err := decode(files, "data/services.json", &names); err != nil {
		return nil, err
	}
	for _, name := range names {
		one := service{name: name}
		if err := errors.Join(
			decode(files, "data/actions/"+name+".json", &one.actions),
			decode(files, "data/conditionKeys/"+name+".json", &one.keys),
			decode(files, "data/resourceTypes/"+name+".json", &one.types),
		); err != nil {
			return nil, err
		}
		s.services = append(s.services, one)
	}
	return s, nil
}

func decode(files fs.FS, name string, into any) error {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

var globalKey = regexp.MustCompile(`key: '([^']+)',\s+category: '[^']+',\s+type: '([^']+)'`)

// globals reads the global keys, which the package holds in its program instead of its data.
func globals(files fs.FS) ([]key, error) {
	const name = "dist/cjs/globalConditionKeys.js"
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	var keys []key
	for _, m := range globalKey.FindAllStringSubmatch(string(text), -1) {
		keys = append(keys, key{m[1], m[2]})
	}
	if n := strings.Count(string(text), "key: '"); len(keys) != n {
		return nil, fmt.Errorf("%s: %d keys, of which %d could be read", name, n, len(keys))
	}
	return keys, nil
}

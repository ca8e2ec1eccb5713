package ref

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed data/iam.gz
var packed []byte

// table is the table of actions, resource types and condition keys. Actions and resource types stay lines of the unpacked
// text, sorted by name, and are read when somebody asks: reading all would cost time and memory that few need.
type table struct {
	from      Dated
	rcp       []string
	names     []string // of the services, sorted
	services  map[string]*service
	keys      map[string]Key // by name in lower case, those with a variable part left out
	templates []keyTemplate
	sorted    []Key // all keys, each once
}

type service struct {
	keys    []Key
	types   []string
	actions []string
}

// tables is the table that is built in. That it unpacks is a test; where it does not, the program was built wrongly.
var tables = sync.OnceValue(func() *table {
	t, err := unpack(packed)
	if err != nil {
		panic(fmt.Sprintf("the built-in table of actions: %v", err))
	}
	return t
})

func unpack(packed []byte) (*table, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	if _, err := io.Copy(&text, r); err != nil {
		return nil, err
	}
	return decode(text.String())
}

// decode reads the text. Each line is a letter and its fields, between tabs; what follows the line of a service belongs to it.
//
//	iam-data  version of this format  package  version  day
//	rcp       services that RCPs reach
//	k         key  type  1 or n, for one value or many        before the first service: keys of any request
//	s         service
//	t         resource type  ARN  keys                        keys are given by their place in the service's list
//	a         action  access  resource types  keys  dependent actions
//
// The resource types of an action are separated by semicolons; each is its name, "!" if it is required, ":" and its keys.
func decode(text string) (*table, error) {
	t := &table{services: map[string]*service{}, keys: map[string]Key{}}
	for _, k := range documented {
		t.addKey(k)
	}
	var s *service
	number := 0
	for line := range strings.Lines(text) {
		number++
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if err := t.line(&s, kind, rest); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if t.from.AsOf == "" {
		return nil, errors.New("no header")
	}
	t.sortKeys()
	return t, nil
}

var errLine = errors.New("a line that the format does not know")

func (t *table) line(s **service, kind, rest string) error {
	f := strings.Split(rest, "\t")
	switch {
	case kind == "iam-data" && len(f) == 4 && f[0] == "1":
		t.from = Dated{
			"actions, resource types and condition keys", f[3],
			fmt.Sprintf("package %s %s, after the AWS Service Authorization Reference", f[1], f[2]),
		}
	case kind == "rcp" && len(f) == 1:
		t.rcp = split(f[0], ",")
	case kind == "s" && len(f) == 1:
		*s = new(service)
		t.names = append(t.names, f[0])
		t.services[f[0]] = *s
	case kind == "k" && len(f) == 3:
		k, err := newKey(f[0], f[1], f[2])
		if err != nil {
			return err
		}
		k.Global = *s == nil
		t.addKey(k)
		if *s != nil {
			(*s).keys = append((*s).keys, k)
		}
	case *s == nil:
		return errLine
	case kind == "t" && len(f) == 3:
		(*s).types = append((*s).types, rest)
	case kind == "a" && len(f) == 5:
		(*s).actions = append((*s).actions, rest)
	default:
		return errLine
	}
	return nil
}

// named gives the names of the keys at places of the service's list.
func (s *service) named(places string) []string {
	var names []string
	for _, p := range split(places, ",") {
		if i, err := strconv.Atoi(p); err == nil && i >= 0 && i < len(s.keys) {
			names = append(names, s.keys[i].Name)
		}
	}
	return names
}

// find finds the line whose first field is a name, case aside.
func find(lines []string, name string) (string, bool) {
	i, ok := slices.BinarySearchFunc(lines, name, func(line, name string) int {
		first, _, _ := strings.Cut(line, "\t")
		return foldCompare(first, name)
	})
	if !ok {
		return "", false
	}
	return lines[i], true
}

// foldCompare orders as the table is ordered: byte for byte, capitals as small letters. It does not allocate.
func foldCompare(a, b string) int {
	for i := range min(len(a), len(b)) {
		if d := int(lower(a[i])) - int(lower(b[i])); d != 0 {
			return d
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// split is strings.Split, but nothing has no parts.
func split(s, separator string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, separator)
}

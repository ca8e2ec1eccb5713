package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// text is the table as lines of fields between tabs; the format is described where it is read, in table.go.
func (s *source) text() (string, error) {
	w := writer{seen: map[string]key{}}
	w.line("iam-data", "1", s.Name, s.Version, s.day())
	w.line("rcp", strings.Join(sorted(s.rcp), ","))
	for _, k := range sortedKeys(s.globals) {
		w.key(k)
	}
	services := slices.SortedFunc(slices.Values(s.services), func(a, b service) int { return strings.Compare(a.name, b.name) })
	for i := range services {
		w.service(&services[i])
	}
	return w.String(), w.err
}

// writer keeps the first thing it does not understand: what the table cannot say must not be left out in silence.
type writer struct {
	strings.Builder
	seen map[string]key // keys as first written, by lower case
	err  error
}

func (w *writer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *writer) line(fields ...string) {
	for _, f := range fields {
		if strings.ContainsAny(f, "\t\n\r") {
			w.fail("%q has a tab or a line end in it", f)
		}
	}
	w.WriteString(strings.Join(fields, "\t") + "\n")
}

func (w *writer) service(s *service) {
	w.line("s", s.name)
	var keys []key
	for _, k := range s.keys {
		keys = append(keys, k)
	}
	keys = sortedKeys(keys)
	at := map[string]int{}
	for i, k := range keys {
		at[k.Key] = i
		w.key(k)
	}
	var types []string
	for name := range s.types {
		types = append(types, name)
	}
	for _, name := range sorted(types) {
		t := s.types[name]
		w.line("t", t.Name, pattern(t.ARN), w.numbers(at, t.Keys))
	}
	var actions []action
	for _, a := range s.actions {
		actions = append(actions, a)
	}
	slices.SortFunc(actions, func(a, b action) int { return foldCompare(a.Name, b.Name) })
	for _, a := range actions {
		var resources []string
		for _, r := range a.Resources {
			if _, ok := s.types[strings.ToLower(r.Name)]; !ok {
				w.fail("%s:%s names the resource type %s, which is not there", s.name, a.Name, r.Name)
			}
			if strings.ContainsAny(r.Name, ";:!") {
				w.fail("%s has a resource type %q, whose name the table cannot hold", s.name, r.Name)
			}
			if len(r.Dependent) > 0 {
				w.fail("%s:%s has dependent actions of a resource type: the table has no place for them", s.name, a.Name)
			}
			required := ""
			if r.Required {
				required = "!"
			}
			resources = append(resources, r.Name+required+":"+w.numbers(at, r.Keys))
		}
		w.line("a", s.name+":"+a.Name, w.access(a.Access), strings.Join(sorted(resources), ";"), w.numbers(at, a.Keys), strings.Join(sorted(a.Dependent), ","))
	}
}

// numbers are the places of keys in the service's list of keys.
func (w *writer) numbers(at map[string]int, keys []string) string {
	var places []int
	for _, k := range keys {
		i, ok := at[template(k)]
		if !ok {
			w.fail("the key %s is in no list of its service", k)
		}
		places = append(places, i)
	}
	slices.Sort(places)
	var text []string
	for _, i := range slices.Compact(places) {
		text = append(text, strconv.Itoa(i))
	}
	return strings.Join(text, ",")
}

// access keeps the narrowest of the levels: tagging and the management of permissions are writing as well.
func (w *writer) access(level string) string {
	switch level {
	case "List", "Read", "Write":
		return level[:1]
	case "Tagging, Write", "Tagging":
		return "T"
	case "Permissions management, Write", "Permissions management":
		return "P"
	}
	w.fail("access level %q", level)
	return ""
}

// key writes a key as it was spelt first: there is one name for it in the whole table.
func (w *writer) key(k key) {
	if first, ok := w.seen[strings.ToLower(k.Key)]; ok {
		k.Key = first.Key
	} else {
		w.seen[strings.ToLower(k.Key)] = k
	}
	element, many := strings.CutPrefix(k.Type, "ArrayOf")
	if !slices.Contains([]string{"String", "ARN", "Bool", "Date", "Numeric", "IPAddress", "Binary"}, element) {
		w.fail("key %s of type %q", k.Key, k.Type)
	}
	if strings.Count(k.Key, "${") > 1 {
		w.fail("key %s has more than one variable part", k.Key)
	}
	number := "1"
	if many {
		number = "n"
	}
	w.line("k", k.Key, element, number)
}

// template writes the variable part of a key always as ${…}: the package has <key> and tag-key as well.
func template(key string) string {
	key = strings.ReplaceAll(key, "<key>", "${TagKey}")
	if rest, ok := strings.CutSuffix(key, "/tag-key"); ok {
		key = rest + "/${TagKey}"
	}
	return key
}

func sortedKeys(keys []key) []key {
	keys = slices.Clone(keys)
	for i := range keys {
		keys[i].Key = template(keys[i].Key)
	}
	slices.SortFunc(keys, func(a, b key) int { return foldCompare(a.Key, b.Key) })
	return keys
}

var variable = regexp.MustCompile(`\$?\{[^}]*\}`) // one has no dollar

// pattern turns the variables of an ARN into stars.
func pattern(arn string) string {
	arn = variable.ReplaceAllString(arn, "*")
	for strings.Contains(arn, "**") {
		arn = strings.ReplaceAll(arn, "**", "*")
	}
	return arn
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func foldCompare(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }

// pack compresses. The same text gives the same bytes: the header carries no name and no time.
func pack(text string) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

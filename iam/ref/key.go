package ref

import (
	"fmt"
	"slices"
	"strings"
)

// KeyType is the type of the values of a condition key. It decides which operators compare them (rules 66 to 73).
type KeyType string

// The types of the Service Authorization Reference.
const (
	String    KeyType = "String"
	ARN       KeyType = "ARN"
	Bool      KeyType = "Bool"
	Date      KeyType = "Date"
	Numeric   KeyType = "Numeric"
	IPAddress KeyType = "IPAddress"
	Binary    KeyType = "Binary"
)

// Key is a documented condition key.
type Key struct {
	// Name is as AWS writes it. A part that the policy fills in is ${…}: aws:RequestTag/${TagKey}.
	Name        string
	Type        KeyType // of each value
	Multivalued bool    // a request can have several values: ForAllValues and ForAnyValue compare them (rule 74)
	// Global keys belong to no action: requests of any service can have them. Besides aws:… these are some keys about the
	// session, such as ec2:SourceInstanceArn.
	Global bool
}

// LookupKey finds the documented key that a policy names; case does not count (rule 58). A key that is filled in is found by
// what stands around it: aws:RequestTag/team is aws:RequestTag/${TagKey}. What identity providers other than those that AWS
// documents put before the colon is not in the table.
func LookupKey(name string) (Key, bool) {
	t := tables()
	name = strings.ToLower(name)
	if k, ok := t.keys[name]; ok {
		return k, true
	}
	for i := range t.templates {
		if t.templates[i].match(name) {
			return t.templates[i].key, true
		}
	}
	return Key{}, false
}

// keyTemplate is a key with a variable part, in lower case.
type keyTemplate struct {
	key            Key
	prefix, suffix string
}

func (k *keyTemplate) match(name string) bool {
	return len(name) > len(k.prefix)+len(k.suffix) && strings.HasPrefix(name, k.prefix) && strings.HasSuffix(name, k.suffix)
}

func newKey(name, kind, number string) (Key, error) {
	k := Key{Name: name, Type: KeyType(kind), Multivalued: number == "n"}
	if !slices.Contains([]KeyType{String, ARN, Bool, Date, Numeric, IPAddress, Binary}, k.Type) || number != "1" && number != "n" {
		return Key{}, fmt.Errorf("key %s is of the type %q, %q values", name, kind, number)
	}
	return k, nil
}

// addKey adds a key that is not there yet: what is said of a key of any request stands before what a service says of it.
func (t *table) addKey(k Key) {
	name := strings.ToLower(k.Name)
	if _, ok := t.keys[name]; !ok {
		t.keys[name] = k
	}
}

// sortKeys puts keys with a variable part in a list of their own, the longest first: events:Metadata/${…}/Matcher is tried
// before events:Metadata/${…}.
func (t *table) sortKeys() {
	for name, k := range t.keys {
		t.sorted = append(t.sorted, k)
		if prefix, rest, ok := strings.Cut(name, "${"); ok {
			_, suffix, _ := strings.Cut(rest, "}")
			t.templates = append(t.templates, keyTemplate{k, prefix, suffix})
			delete(t.keys, name)
		}
	}
	slices.SortFunc(t.sorted, func(a, b Key) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(t.templates, func(a, b keyTemplate) int {
		if d := len(b.prefix) + len(b.suffix) - len(a.prefix) - len(a.suffix); d != 0 {
			return d
		}
		return strings.Compare(a.key.Name, b.key.Name)
	})
}

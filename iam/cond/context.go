package cond

import (
	"slices"
	"strings"
)

// State says what is known of a context key. The zero value is Unspecified: nobody has said anything.
type State uint8

const (
	Unspecified  State = iota // not mentioned: Context.Rest decides
	Undetermined              // may be present or absent, with any value
	Absent                    // known not to be in the request
	Present                   // known, with its values
)

// Context is the request context: for each key whether it is known, known to be absent, or unknown. Key names are
// case-insensitive (rule 58); a tag key after the slash is compared without case too, as IAM does.
//
// Contexts stack: what this one does not mention is looked up in Parent, and at the end of the stack Rest decides. The
// caller's keys (aws:PrincipalArn and its kin) are thus set once and shared by many requests. The zero value knows that
// every key is absent. A Context is not changed while it is evaluated, and is then safe for concurrent use.
type Context struct {
	Parent *Context
	// Rest is the state of keys that nobody mentions: Absent (and Unspecified, the zero value) or Undetermined. The
	// innermost context that sets it decides.
	Rest State

	keys []contextKey
}

type contextKey struct {
	name   string // lower case
	state  State
	values []string
	known  *Constraint // what is known of an undetermined key all the same, nil where nothing is
	shown  string      // as first written, for people
}

// Set makes a key known, with one value or several. No value at all is an empty set: present, and multivalued (rule 64).
func (c *Context) Set(key string, values ...string) { c.put(key, Present, values) }

// SetAbsent makes a key known to be absent.
func (c *Context) SetAbsent(key string) { c.put(key, Absent, nil) }

// SetUnknown makes a key unknown: it may be present or absent, with any value.
func (c *Context) SetUnknown(key string) { c.put(key, Undetermined, nil) }

// SetUnknownExcept makes a key unknown but for this: where it is present, no value of it matches any of the patterns. The
// organisation of an outsider is not known, and yet it is not ours. Multivalued says whether the key has several values.
func (c *Context) SetUnknownExcept(key string, multivalued bool, patterns ...string) {
	k := Constraint{Key: key, Absent: true, Negated: true, Kind: Like}
	if multivalued {
		k.Quantifier = All
	}
	for _, p := range patterns {
		v, _ := compileValue(Like, p, false)
		k.values = append(k.values, v)
	}
	c.put(key, Undetermined, nil)
	c.key(strings.ToLower(key)).known = newConstraint(k)
}

// key finds what this context itself mentions; nil where it does not.
func (c *Context) key(lower string) *contextKey {
	for i := range c.keys {
		if c.keys[i].name == lower {
			return &c.keys[i]
		}
	}
	return nil
}

// known is what is known of an undetermined key, nil where nothing is.
func (c *Context) known(lower string) *Constraint {
	for ; c != nil; c = c.Parent {
		if k := c.key(lower); k != nil {
			return k.known
		}
	}
	return nil
}

func (c *Context) put(key string, state State, values []string) {
	name, shown := strings.ToLower(key), key
	i, found := slices.BinarySearchFunc(c.keys, name, func(k contextKey, n string) int { return strings.Compare(k.name, n) })
	if found {
		shown = c.keys[i].shown
	} else {
		c.keys = slices.Insert(c.keys, i, contextKey{})
	}
	c.keys[i] = contextKey{name: name, state: state, values: values, shown: shown}
}

// Reset forgets every key, keeping the memory for the next request.
func (c *Context) Reset() { c.keys = c.keys[:0] }

// Lookup says what is known of a key given in lower case.
func (c *Context) Lookup(lower string) (State, []string) {
	rest := Unspecified
	for ; c != nil; c = c.Parent {
		if k := c.key(lower); k != nil {
			return k.state, k.values
		}
		if rest == Unspecified {
			rest = c.Rest
		}
	}
	if rest == Unspecified {
		rest = Absent
	}
	return rest, nil
}

// Keys lists what this context and its parents mention, in order of the names in lower case: the name as it was first written,
// by the outermost parent that mentions it, its state, its values.
func (c *Context) Keys(yield func(name string, state State, values []string) bool) {
	index := map[string]int{}
	var all []contextKey
	for ; c != nil; c = c.Parent {
		for _, k := range c.keys {
			if i, seen := index[k.name]; seen {
				all[i].shown = k.shown
				continue
			}
			index[k.name] = len(all)
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(a, b contextKey) int { return strings.Compare(a.name, b.name) })
	for _, k := range all {
		if !yield(k.shown, k.state, k.values) {
			return
		}
	}
}

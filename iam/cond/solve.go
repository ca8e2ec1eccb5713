package cond

import "slices"

// Bounds of the search for a context in which a formula holds. What would need more stays Unknown, and says so.
const (
	// searchStates bounds the search for one text, in states of the patterns that are followed at once. Patterns as policies
	// have them need a few hundred; many "?" behind a "*" can need any number.
	searchStates = 10_000
	// normalStates is the same while a formula is brought into normal form, which happens often.
	normalStates = 500
	// maxTrials bounds the values that are tried together for the variables of a conjunction.
	maxTrials = 64
)

// Reasons for which a formula is left open.
const (
	openText     = "the search for a text was given up"
	openKinds    = "a key is compared as things of different kinds"
	openVariable = "it depends on a variable"
	openSeveral  = "a key with several values is compared without a set operator"
)

// Possible decides whether the formula can hold, given what is known. True comes with a witness over known: the keys that the
// formula mentions and that known leaves open, in a state in which it holds. False is proven: no state of these keys satisfies
// it. Unknown is left for what is not understood, for variables, and beyond the bounds of the search; Undecided says for which.
// A nil known knows nothing, the zero Context that every key is absent.
//
// A request's value of a test on addresses is taken to be an address, or no address, and never a block.
func (f Formula) Possible(known *Context) (truth Truth, witness *Context) {
	truth, witness, _ = f.possible(known)
	return truth, witness
}

// Undecided says why Possible is Unknown, "" where it is not.
func (f Formula) Undecided(known *Context) string {
	_, _, reason := f.possible(known)
	return reason
}

func (f Formula) possible(known *Context) (truth Truth, witness *Context, reason string) {
	truth = False
	base := known
	if known == nil {
		base = unknown
	}
	for _, t := range f.terms {
		s := solver{known: base}
		switch s.conjunction(t) {
		case True:
			s.ctx.Parent = known
			if f.Eval(s.ctx) == True {
				return True, s.ctx, ""
			}
			s.because("a context that was found does not satisfy it")
			fallthrough
		case Unknown:
			truth = Unknown
			if reason == "" {
				reason = s.reason
			}
		}
	}
	return truth, nil, reason
}

// unknown is a context of which nothing is known.
var unknown = &Context{Rest: Undetermined}

// solver looks for a context in which one conjunction holds.
type solver struct {
	known  *Context
	ctx    *Context // what has been chosen, over known
	reason string   // the first for which the answer is open
}

// because notes a reason and is Unknown.
func (s *solver) because(reason string) Truth {
	if s.reason == "" {
		s.reason = reason
	}
	return Unknown
}

// free reports whether nothing is known or chosen of the state of a key.
func (s *solver) free(lower string) bool {
	state, _ := s.ctx.Lookup(lower)
	return state == Undetermined
}

// conjunction decides t and leaves the witness in s.ctx.
func (s *solver) conjunction(t term) Truth {
	s.ctx = &Context{Parent: s.known}
	variables := s.variables(t)
	if len(variables) == 0 {
		return s.keys(t)
	}
	// Without the variables the rest may be seen to contradict itself.
	if s.keys(t.without(s.ctx)) == False {
		return False
	}
	s.ctx = &Context{Parent: s.known}
	if s.try(t, variables, new(int)) {
		return True
	}
	return s.because(openVariable)
}

// keys solves each key by itself, the values of variables being known.
func (s *solver) keys(t term) Truth {
	result := True
	for group := range t.byKey {
		truth := s.key(group)
		if truth == False {
			return False
		}
		result = result.And(truth)
	}
	return result
}

// key finds a state of one key and notes it.
func (s *solver) key(group term) Truth {
	lower := group[0].lower
	if !s.free(lower) {
		result := True
		for _, c := range group {
			result = result.And(c.Eval(s.ctx))
		}
		if result == Unknown {
			s.because(s.opened(group))
		}
		return result
	}
	p := search{group: group.understood(), ctx: s.ctx, states: searchStates}
	understood := len(p.group) == len(group)
	if known := s.known.known(lower); known != nil {
		p.group = append(p.group, known)
	}
	values, truth := p.present()
	switch {
	case truth == True:
		s.ctx.Set(group[0].Key, values...)
	case p.absent():
		truth = True
		s.ctx.SetAbsent(group[0].Key)
	case truth == Unknown:
		s.because(p.reason)
	}
	if truth == True && !understood {
		return s.because(s.opened(group))
	}
	return truth
}

// opened is why constraints on a key of known state are not decided.
func (s *solver) opened(group term) string {
	for _, c := range group {
		switch {
		case c.Kind == Opaque:
			return "not understood: " + c.String()
		case c.open(s.ctx):
			return openVariable
		}
	}
	return openSeveral
}

// byKey iterates over the constraints of one key after the other.
func (t term) byKey(yield func(term) bool) {
	for i := 0; i < len(t); {
		j := i
		for j < len(t) && t[j].lower == t[i].lower {
			j++
		}
		if !yield(t[i:j]) {
			return
		}
		i = j
	}
}

// open reports whether a value of the constraint depends on a variable that ctx does not know.
func (c *Constraint) open(ctx *Context) bool {
	for i := range c.values {
		if v := &c.values[i]; v.template != nil {
			if _, state := v.template.Expand(ctx); state == Undetermined {
				return true
			}
		}
	}
	return false
}

// without is t with less demanded, so that no variable that ctx does not know is left: a list of what must not match is
// shortened, and of another test with a variable it is left whether the key must be there.
func (t term) without(ctx *Context) term {
	var out term
	for _, c := range t {
		switch {
		case !c.open(ctx):
			out = append(out, c)
		case c.Negated:
			out = append(out, c.withValues(slices.DeleteFunc(slices.Clone(c.values), func(v value) bool { return v.template != nil })))
		case c.Quantifier == One && !c.Absent:
			out = append(out, newConstraint(Constraint{Key: c.Key, Kind: Anything}))
		}
	}
	return out
}

// understood is t without what is not.
func (t term) understood() term {
	return slices.DeleteFunc(slices.Clone(t), func(c *Constraint) bool { return c.Kind == Opaque })
}

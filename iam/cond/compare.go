package cond

// Implies reports whether f can only hold where g does. Certain says whether the answer is known: what is not understood,
// variables, and what Possible does not decide within its bounds leave it open, and the answer is then false.
func (f Formula) Implies(g Formula) (implies, certain bool) {
	if f.within(g) {
		return true, true
	}
	switch truth, witness := f.And(g.Not()).Possible(nil); {
	case truth == False:
		return true, true
	case truth == True && f.Eval(witness) == True && g.Eval(witness) == False:
		return false, true
	}
	return false, false
}

// Relation is how the contexts in which one formula holds compare with those in which another does. The zero value is Undecided.
type Relation uint8

const (
	Undecided    Relation = iota
	Equivalent            // both hold in the same contexts
	Wider                 // the first holds wherever the second does, and elsewhere too
	Narrower              // the second holds wherever the first does, and elsewhere too
	Incomparable          // each holds somewhere where the other does not
)

func (r Relation) String() string {
	switch r {
	case Equivalent:
		return "equivalent"
	case Wider:
		return "wider"
	case Narrower:
		return "narrower"
	case Incomparable:
		return "incomparable"
	}
	return "undecided"
}

// Compare says how f compares with g. It is Undecided where Implies is not certain in one direction.
func (f Formula) Compare(g Formula) Relation {
	within, known := f.Implies(g)
	covers, known2 := g.Implies(f)
	switch {
	case !known || !known2:
		return Undecided
	case within && covers:
		return Equivalent
	case covers:
		return Wider
	case within:
		return Narrower
	}
	return Incomparable
}

// within reports whether each alternative of f is covered by one of g: quick, and true also for parts that are not understood
// and the same on both sides.
func (f Formula) within(g Formula) bool {
	for _, t := range f.terms {
		covered := false
		for _, u := range g.terms {
			if t.implies(u) {
				covered = true
				break
			}
		}
		if !covered {
			return false
		}
	}
	return true
}

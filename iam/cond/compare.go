package cond

// Implies reports whether f can only hold where g does. Certain says whether the answer is known: a formula that is not
// understood, a variable, or a pattern that would need a search leave it open, and the answer is then false.
func (f Formula) Implies(g Formula) (implies, certain bool) {
	if f.within(g) {
		return true, true
	}
	rest := f.And(g.Not())
	if rest.IsNever() {
		return true, true
	}
	ctx := &Context{}
	if rest.Witness(ctx) && f.Eval(ctx) == True && g.Eval(ctx) == False {
		return false, true
	}
	return false, false
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

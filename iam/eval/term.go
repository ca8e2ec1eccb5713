package eval

import "drawbridge/iam/cond"

// term is a three-valued truth that carries, while formulas are collected and the truth is Unknown, what it depends on.
type term struct {
	truth cond.Truth
	left  *cond.Formula // set if and only if truth is Unknown and the run collects
}

var (
	yes = term{truth: cond.True}
	no  = term{truth: cond.False}
)

// unknown is a term that depends on f; plain Unknown where the run does not collect.
func (n *run) unknown(f func() cond.Formula) term {
	if !n.collect {
		return term{}
	}
	return of(f())
}

// demand is the term of what tells one member of a class of callers from the others.
func (n *run) demand(f cond.Formula) term {
	if truth := f.Eval(n.ctx); truth != cond.Unknown {
		return term{truth: truth}
	}
	return n.unknown(func() cond.Formula { return f })
}

// opaque is a term that nothing decides, for a reason.
func (n *run) opaque(reason string) term {
	return n.unknown(func() cond.Formula { return cond.NotUnderstood(reason) })
}

// of is the term of a formula: constants are folded.
func of(f cond.Formula) term {
	switch {
	case f.IsAlways():
		return yes
	case f.IsNever():
		return no
	}
	return term{left: &f}
}

func (a term) and(b term) term {
	switch {
	case a.truth == cond.False || b.truth == cond.False:
		return no
	case a.truth == cond.True:
		return b
	case b.truth == cond.True:
		return a
	case a.left == nil || b.left == nil:
		return term{}
	}
	return of(a.left.And(*b.left))
}

func (a term) or(b term) term {
	switch {
	case a.truth == cond.True || b.truth == cond.True:
		return yes
	case a.truth == cond.False:
		return b
	case b.truth == cond.False:
		return a
	case a.left == nil || b.left == nil:
		return term{}
	}
	return of(a.left.Or(*b.left))
}

func (a term) not() term {
	if a.left != nil {
		return of(a.left.Not())
	}
	return term{truth: a.truth.Not()}
}

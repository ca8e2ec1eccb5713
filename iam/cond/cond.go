// Package cond holds the conditions of AWS policies as values.
//
//	block := cond.Block{cond.CompileTest("StringEquals", "sts:ExternalId", []string{"watchtower"}, true)}
//	ctx := &cond.Context{Rest: cond.Undetermined} // nothing is known of the request
//	block.Eval(ctx)     // Unknown
//	block.LeftOver(ctx) // sts:ExternalId is "watchtower"
//
// It answers two questions about a condition block. Eval: does it hold in a context in which each key is known, known to
// be absent, or unknown? The answer is one of three, and costs no allocation. LeftOver: what must still be true, when
// the answer is unknown? The answer is a Formula in normal form: constants folded, contradictions gone, duplicates
// merged, in a stable order.
//
// The algebra is closed because of one fact about AWS: a negated operator is true for an absent key (rule 61), so that
// StringNotEquals is exactly the complement of StringEquals, and ForAllValues with a negated test the complement of
// ForAnyValue. A Constraint therefore says, for one key, whether absence satisfies it and which present values do; its
// complement flips both.
//
// What the package does not understand (an operator of next year) is never false and never true: it stays Unknown, and
// an opaque constraint in the formula names it.
package cond

// Truth is the value of a condition. The zero value is Unknown.
type Truth uint8

const (
	Unknown Truth = iota
	True
	False
)

func (t Truth) String() string {
	switch t {
	case True:
		return "true"
	case False:
		return "false"
	}
	return "unknown"
}

// Not is three-valued negation.
func (t Truth) Not() Truth {
	switch t {
	case True:
		return False
	case False:
		return True
	}
	return Unknown
}

// And is three-valued conjunction: False wins, then Unknown.
func (t Truth) And(u Truth) Truth {
	if t == False || u == False {
		return False
	}
	if t == Unknown || u == Unknown {
		return Unknown
	}
	return True
}

// Or is three-valued disjunction: True wins, then Unknown.
func (t Truth) Or(u Truth) Truth {
	if t == True || u == True {
		return True
	}
	if t == Unknown || u == Unknown {
		return Unknown
	}
	return False
}

// Of is the Truth of a bool.
func Of(b bool) Truth {
	if b {
		return True
	}
	return False
}

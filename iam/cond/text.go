package cond

import (
	"encoding/json"
	"slices"
	"strings"
)

// String prints the formula for people, in one line: `sts:ExternalId is "x", from 203.0.113.0/24, with MFA`. Alternatives are
// joined by "or"; the constants are "always" and "never".
func (f Formula) String() string {
	switch {
	case f.IsNever():
		return "never"
	case f.IsAlways():
		return "always"
	}
	var b strings.Builder
	for i, t := range f.terms {
		if i > 0 {
			b.WriteString(" or ")
		}
		group := len(f.terms) > 1 && len(t) > 1
		if group {
			b.WriteByte('(')
		}
		b.WriteString(t.String())
		if group {
			b.WriteByte(')')
		}
	}
	return b.String()
}

// String prints a conjunction; what reads alike is said once.
func (t term) String() string {
	texts := make([]string, 0, len(t))
	for _, c := range t {
		if text := c.String(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, ", ")
}

// String prints one constraint for people: `every aws:TagKeys is "approval"`, `sts:ExternalId is "a" or "b"`.
func (c *Constraint) String() string {
	switch {
	case c.Kind == Opaque && c.Key == "": // a reason; it is the same for its opposite
		return c.list(" or ", false)
	case c.Kind == Opaque && c.Negated:
		return "not: " + c.complement().String()
	case c.Kind == Opaque:
		return c.Key + " (not understood: " + c.list(" or ", false) + ")"
	case c.Kind == Anything && c.Negated:
		return c.Key + " is absent"
	case c.Kind == Anything:
		return c.Key + " is present"
	}
	if phrase := c.phrase(); phrase != "" {
		return phrase
	}
	name := c.Key
	switch c.Quantifier {
	case Any:
		name = "some " + name
	case All:
		name = "every " + name
	}
	text := name + " " + c.verb() + " " + c.operand()
	if c.Quantifier == One {
		switch {
		case c.Absent && !c.Negated:
			text += ", or is absent"
		case !c.Absent && c.Negated:
			text += ", and is present"
		}
	}
	return text
}

// operand is the values: quoted where they are text.
func (c *Constraint) operand() string {
	if len(c.values) == 0 {
		return "one of no values"
	}
	joint := " or "
	if c.Negated {
		joint = " nor "
	}
	return c.list(joint, c.Kind == String || c.Kind == StringFold || c.Kind == Like || c.Kind == ARN || c.Kind == Binary)
}

func (c *Constraint) list(joint string, quoted bool) string {
	texts := c.Values()
	if quoted {
		for i, t := range texts {
			texts[i] = `"` + t + `"`
		}
	}
	return strings.Join(texts, joint)
}

// phrase says in words what some keys are about; "" for the others, and where absence makes the words wrong.
func (c *Constraint) phrase() string {
	if c.Quantifier != One || len(c.values) == 0 {
		return ""
	}
	strict := c.Absent == c.Negated
	on := c.Kind == Bool && len(c.values) == 1 && strict && !c.Negated
	switch c.lower {
	case "aws:multifactorauthpresent":
		if on && c.values[0].text == "true" {
			return "with MFA"
		}
	case "aws:securetransport":
		if on && c.values[0].text == "true" {
			return "over TLS"
		}
	case "aws:sourceip":
		if c.Kind == IP && strict && !c.Negated {
			return "from " + c.operand()
		}
		if c.Kind == IP && strict {
			return "not from " + c.operand()
		}
	case "aws:currenttime":
		if c.Kind == Date && strict && !c.Negated && c.Comparison != Equal {
			return c.when() + " " + c.operand()
		}
	}
	return ""
}

// verb is the relation in words.
func (c *Constraint) verb() string {
	positive, negative := "is", "is not"
	switch c.Kind {
	case StringFold:
		positive, negative = "is (in any case)", "is not (in any case)"
	case Like, ARN:
		if c.Kind == Like || !c.literalARNs() {
			positive, negative = "matches", "matches neither"
			if len(c.values) == 1 {
				negative = "does not match"
			}
		}
	case IP:
		positive, negative = "is in", "is not in"
	case Date:
		if c.Comparison != Equal {
			positive, negative = "is "+c.when(), "is not "+c.when()
		}
	case Numeric:
		positive = [...]string{"is", "<", "<=", ">", ">="}[c.Comparison]
		negative = [...]string{"is not", "not <", "not <=", "not >", "not >="}[c.Comparison]
	}
	if c.Negated {
		return negative
	}
	return positive
}

// when is the relation of two times.
func (c *Constraint) when() string {
	return [...]string{"at", "before", "not after", "after", "not before"}[c.Comparison]
}

func (c *Constraint) literalARNs() bool {
	for i := range c.values {
		if c.values[i].pattern == nil {
			return false
		}
		if _, ok := c.values[i].pattern.Literal(); !ok {
			return false
		}
	}
	return true
}

// operatorName is the IAM operator that says what the constraint says, as far as one does.
func (c *Constraint) operatorName() string {
	if c.Kind == Anything {
		return "Null"
	}
	names := map[Kind][2]string{
		String: {"StringEquals", "StringNotEquals"}, StringFold: {"StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"},
		Like: {"StringLike", "StringNotLike"}, IP: {"IpAddress", "NotIpAddress"}, ARN: {"ArnLike", "ArnNotLike"},
		Bool: {"Bool", "Bool"}, Binary: {"BinaryEquals", "BinaryEquals"}, Opaque: {"", ""},
	}
	pair, ok := names[c.Kind]
	if !ok {
		prefix := "Numeric"
		if c.Kind == Date {
			prefix = "Date"
		}
		pair[0] = prefix + [...]string{"Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"}[c.Comparison]
		pair[1] = prefix + [...]string{"NotEquals", "GreaterThanEquals", "GreaterThan", "LessThanEquals", "LessThan"}[c.Comparison]
	}
	if c.Negated {
		return c.Quantifier.String() + pair[1]
	}
	return c.Quantifier.String() + pair[0]
}

// constraintJSON is the outside form of a constraint.
type constraintJSON struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator,omitempty"`
	Values   []string `json:"values,omitempty"`
	Negated  bool     `json:"negated,omitempty"` // only where no operator says it (Bool, BinaryEquals)
	Absent   bool     `json:"absent"`            // absence of the key satisfies
	Opaque   bool     `json:"notUnderstood,omitempty"`
}

// MarshalJSON writes the normal form: a list of alternatives, each a list of constraints. Always is [[]], Never is [].
func (f Formula) MarshalJSON() ([]byte, error) {
	out := make([][]constraintJSON, 0, len(f.terms))
	for _, t := range f.terms {
		alternative := make([]constraintJSON, 0, len(t))
		for _, c := range t {
			j := constraintJSON{Key: c.Key, Operator: c.operatorName(), Values: c.Values(), Absent: c.Absent, Opaque: c.Kind == Opaque}
			switch c.Kind {
			case Anything:
				j.Values = []string{"false"}
				if c.Negated {
					j.Values = []string{"true"}
				}
			case Bool, Binary, Opaque:
				j.Negated = c.Negated
			}
			alternative = append(alternative, j)
		}
		out = append(out, alternative)
	}
	return json.Marshal(out)
}

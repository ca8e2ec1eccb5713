package cond

import (
	"encoding/json"
	"strings"
)

// String prints the formula in one line: "sts:ExternalId = x and aws:SourceIp in 203.0.113.0/24", alternatives joined by
// "or", "always" and "never" for the constants.
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
		if len(f.terms) > 1 && len(t) > 1 {
			b.WriteByte('(')
		}
		for j, c := range t {
			if j > 0 {
				b.WriteString(" and ")
			}
			b.WriteString(c.String())
		}
		if len(f.terms) > 1 && len(t) > 1 {
			b.WriteByte(')')
		}
	}
	return b.String()
}

// String prints one constraint: "aws:TagKeys only approval", "sts:ExternalId = a or b, or absent".
func (c *Constraint) String() string {
	values := strings.Join(c.Values(), " or ")
	switch {
	case c.Kind == Opaque && c.Key == "":
		return values
	case c.Kind == Opaque:
		return c.Key + " (not understood: " + values + ")"
	case c.Kind == Anything && c.Negated && c.Absent:
		return c.Key + " absent"
	case c.Kind == Anything && !c.Negated && !c.Absent:
		return c.Key + " present"
	}
	verb := c.verb()
	switch c.Quantifier {
	case Any:
		verb = "has a value " + verb
		if !c.Negated && verb == "has a value =" {
			verb = "has"
		}
	case All:
		verb = "only " + verb
		if verb == "only =" {
			verb = "only"
		}
	}
	if len(c.values) == 0 {
		values = "nothing"
	}
	if c.Negated {
		values = strings.ReplaceAll(values, " or ", " nor ")
	}
	text := c.Key + " " + verb + " " + values
	if c.Quantifier == One {
		switch {
		case c.Absent && !c.Negated:
			text += ", or absent"
		case !c.Absent && c.Negated:
			text += ", and present"
		}
	}
	return text
}

// verb is the relation in words or signs.
func (c *Constraint) verb() string {
	positive, negative := "=", "!="
	switch c.Kind {
	case StringFold:
		positive, negative = "= (any case)", "!= (any case)"
	case Like, ARN:
		positive, negative = "like", "not like"
		if c.Kind == ARN && c.literalARNs() {
			positive, negative = "=", "!="
		}
	case IP:
		positive, negative = "in", "not in"
	case Date, Numeric:
		positive = [...]string{"=", "<", "<=", ">", ">="}[c.Comparison]
		negative = [...]string{"!=", ">=", ">", "<=", "<"}[c.Comparison]
	}
	if c.Negated {
		return negative
	}
	return positive
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
			case Bool, Binary:
				j.Negated = c.Negated
			}
			alternative = append(alternative, j)
		}
		out = append(out, alternative)
	}
	return json.Marshal(out)
}

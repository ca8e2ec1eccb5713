package cond

import "strings"

// Notation writes one constraint as scenario files do: "aws:TagKeys only approval", "sts:ExternalId = a or b, or absent". It is short
// and stable; String is for people.
func (c *Constraint) Notation() string {
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
	verb := c.relation()
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

// relation is the verb of the notation.
func (c *Constraint) relation() string {
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

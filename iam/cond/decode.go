package cond

import (
	"encoding/json"
	"fmt"
)

// UnmarshalJSON reads the normal form that MarshalJSON writes, so that formulas of an earlier report can be compared. Text
// like ${aws:username} in a value is read as a variable. An error says what is no JSON, no known operator or no value of it.
func (f *Formula) UnmarshalJSON(data []byte) error {
	var alternatives [][]constraintJSON
	if err := json.Unmarshal(data, &alternatives); err != nil {
		return fmt.Errorf("conditions in normal form: %w", err)
	}
	var terms []term
	for _, alternative := range alternatives {
		constraints := make([]*Constraint, len(alternative))
		for i := range alternative {
			c, err := alternative[i].constraint()
			if err != nil {
				return fmt.Errorf("conditions in normal form: %w", err)
			}
			constraints[i] = c
		}
		if t, ok := simplify(constraints); ok {
			terms = append(terms, t)
		}
	}
	*f = union(terms)
	return nil
}

// constraint is what the JSON form says.
func (j *constraintJSON) constraint() (*Constraint, error) {
	if j.Opaque {
		c := Constraint{Key: j.Key, Kind: Opaque, Absent: j.Absent, Negated: j.Negated}
		for _, s := range j.Values {
			c.values = append(c.values, value{text: s})
		}
		return newConstraint(c), nil
	}
	test := CompileTest(j.Operator, j.Key, j.Values, true)
	if test.NotUnderstood != "" {
		return nil, fmt.Errorf("%s", test.NotUnderstood)
	}
	c := *test.constraint
	c.Absent = j.Absent
	if c.Kind == Bool || c.Kind == Binary {
		c.Negated = j.Negated
	}
	return newConstraint(c), nil
}

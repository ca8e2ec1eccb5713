package cond

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// A formula that was written and read again holds in the same contexts. Negated comparisons of numbers and dates are left out:
// they are written as the opposite comparison, which differs for a request value that is no number.
func TestFormulaSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := rapid.SampledFrom([]string{"String", "Bool", "Binary", "IP", "ARN"}).Draw(t, "family")
		f := drawFormula(t, family, false)
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var g Formula
		if err := json.Unmarshal(text, &g); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		contexts(family, func(c *Context) bool {
			if a, b := f.Eval(c), g.Eval(c); a != b {
				t.Fatalf("%v is %v, and %v after reading %s\nin %s", f, a, b, text, describe(c))
			}
			return true
		})
	})
}

func TestFormulaRefusesOtherJSON(t *testing.T) {
	for _, text := range []string{`7`, `[7]`, `[[7]]`, `[[{"key":"a","operator":"StringSoundsLike","values":["x"]}]]`, `[[{"key":"a","operator":"Bool","values":["x"]}]]`} {
		var f Formula
		if err := json.Unmarshal([]byte(text), &f); err == nil {
			t.Errorf("%s was read as %v", text, f)
		}
	}
}

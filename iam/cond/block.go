package cond

// Block is a compiled Condition element: every test must hold (rule 55). An empty block always holds.
type Block []Test

// Test is one key under one operator: compiled values, set operator, IfExists.
type Test struct {
	Operator string // as written
	Key      string // as written
	// NotUnderstood is why the test cannot be evaluated, "" where it can. Such a test is Unknown.
	NotUnderstood string

	// (implementation fields follow)
}

// CompileTest compiles one entry of a Condition element. It never fails: what it does not understand becomes a test that is
// Unknown and says why. Variables says whether ${…} in the values is a variable (rule 78).
func CompileTest(operator, key string, values []string, variables bool) Test {
	panic("being written")
}

// Template is a string with variables, cut into parts once (rules 75 to 79).
type Template struct{}

// CompileTemplate cuts s at its variables; nil where it has none, so that the caller keeps the plain string.
func CompileTemplate(s string) (*Template, error) {
	panic("being written")
}

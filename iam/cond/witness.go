package cond

import "drawbridge/iam/arn"

// Witness adds to ctx values under which the formula holds, and reports whether it found any. Keys that are better left out are
// set absent, and what ctx mentions as present or absent stays. A false answer does not prove that there is none: Possible does.
func (f Formula) Witness(ctx *Context) bool {
	truth, witness := f.Possible(&Context{Parent: ctx, Rest: Undetermined})
	if truth != True {
		return false
	}
	for _, k := range witness.keys {
		ctx.put(k.shown, k.state, k.values)
	}
	return true
}

// Example is a string that a wildcard pattern matches: each "*" and "?" becomes "x", except where an account id or a
// region stands in an ARN.
func Example(pattern string) string { return arn.Fill(pattern) }

package cond

import (
	"strings"

	"drawbridge/iam/arn"
)

// overlaps reports whether some string passes both values; kinds are IP with IP, or text with text.
func overlaps(v *value, kind Kind, w *value, other Kind) bool {
	if kind == IP {
		return v.prefix.Overlaps(w.prefix)
	}
	if kind == ARN && other == ARN {
		return v.pattern.Intersects(w.pattern)
	}
	if kind == String {
		return w.match(other, Equal, v.text, nil) == True
	}
	if other == String {
		return v.match(kind, Equal, w.text, nil) == True
	}
	return arn.GlobsIntersect(asGlob(v.text, kind), asGlob(w.text, other))
}

// asGlob is a wildcard pattern that matches at least what a value of a text kind does: a short ARN is padded (rule 86).
func asGlob(text string, kind Kind) string {
	if kind == ARN && strings.HasPrefix(text, "arn:") {
		text += strings.Repeat(":*", max(0, 5-strings.Count(text, ":")))
	}
	return text
}

// covers reports whether every string that passes inner passes outer; both are of the same kind.
func covers(outer, inner *value, kind Kind) bool {
	if outer.text == inner.text {
		return true
	}
	if outer.template != nil || inner.template != nil {
		return false
	}
	switch kind {
	case Like:
		return arn.GlobCovers(outer.text, inner.text)
	case ARN:
		return outer.pattern.Covers(inner.pattern)
	case IP:
		return outer.prefix.Bits() <= inner.prefix.Bits() && outer.prefix.Contains(inner.prefix.Addr())
	case StringFold:
		return strings.EqualFold(outer.text, inner.text)
	}
	return false
}

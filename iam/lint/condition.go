package lint

import (
	"net/netip"
	"strings"

	"drawbridge/iam/cond"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// conditionChecks are about single keys of a Condition.
var conditionChecks = []check{
	{
		Record: Record{"LNT-030", Error, "Unknown condition operator", "AWS refuses an operator that it does not have. Null has no IfExists and no set operator.", "IAM User Guide, IAM JSON policy elements: Condition operators (rules 62, 63)"},
		condition: func(l *linter, s *statement, c condition) {
			if _, ok := operatorOf(c.Operator.Value); ok {
				return
			}
			if meant := operatorMeant(c.Operator.Value); meant != "" {
				l.report(c.operator(), "condition operator %q is not known: %s is nearest", c.Operator.Value, meant)
				return
			}
			l.report(c.operator(), "condition operator %q is not known", c.Operator.Value)
		},
	},
	{
		Record: Record{"LNT-031", Error, "Value that its operator cannot read", "Numbers, dates, booleans, addresses, binary values and variables have forms of their own.", "IAM User Guide, IAM JSON policy elements: Condition operators (rules 63, 69 to 73, 75)"},
		condition: func(l *linter, s *statement, c condition) {
			o, ok := operatorOf(c.Operator.Value)
			if !ok {
				return
			}
			for i, v := range c.Values {
				if strings.Contains(v.Value, "${") && l.document.Variables() && (o.kind == cond.Numeric || o.kind == cond.Date || o.kind == cond.IP || o.kind == cond.Binary || o.kind == cond.Bool) {
					continue // not said where variables may stand in these
				}
				if why := compiledValue(l, c, v); why != "" {
					l.report(c.value(i), "%s: %s", c.Key.Value, why)
				}
			}
		},
	},
	{
		Record: Record{"LNT-103", Warning, "Unknown condition key", "AWS takes any key. One that no request has is absent: most tests on it are false, and negated ones true.", "Service Authorization Reference; IAM User Guide, AWS global condition context keys (rules 58, 61)"},
		condition: func(l *linter, s *statement, c condition) {
			if _, ok := ref.LookupKey(c.Key.Value); ok || !l.lookup(4) {
				return
			}
			known, nearest := ref.ConditionKey(c.Key.Value)
			if known {
				return
			}
			if nearest == "" {
				l.report(c.key(), "condition key %q is not documented", c.Key.Value)
				return
			}
			l.report(c.key(), "condition key %q is not documented: %s is nearest", c.Key.Value, nearest)
		},
	},
	{
		Record: Record{"LNT-105", Warning, "Wildcard in an exact comparison", "StringEquals and its kin compare \"*\" and \"?\" as characters. StringLike and ArnLike take them as wildcards.", "IAM User Guide, IAM JSON policy elements: Condition operators (rules 66, 67)"},
		condition: func(l *linter, s *statement, c condition) {
			o, ok := operatorOf(c.Operator.Value)
			if !ok || o.kind != cond.String && o.kind != cond.StringFold {
				return
			}
			key, _ := ref.LookupKey(c.Key.Value)
			for i, v := range c.Values {
				if !strings.ContainsAny(withoutVariables(v.Value), "*?") {
					continue
				}
				meant := operator{name: "StringLike", set: o.set, ifExists: o.ifExists}
				if key.Type == ref.ARN {
					meant.name = "ArnLike"
				}
				if o.negated() {
					meant.name = strings.Replace(meant.name, "Like", "NotLike", 1)
				}
				d := l.report(c.value(i), "%s compares %q character by character: %s takes wildcards", o, v.Value, meant)
				if key.Type == ref.ARN && strings.HasPrefix(v.Value, "arn:") { // no ARN has such characters
					l.replaceOperator(d, s, c, meant.String())
				}
			}
		},
	},
	{
		Record: Record{"LNT-106", Warning, "Set operator on a key with one value", "A key that has one value needs no set operator. ForAllValues on it is true where the key is absent.", "IAM User Guide, Single-valued vs. multivalued context keys (rules 64, 65, 74)"},
		condition: func(l *linter, s *statement, c condition) {
			o, ok := operatorOf(c.Operator.Value)
			key, known := ref.LookupKey(c.Key.Value)
			if !ok || !known || o.set == "" || key.Multivalued || claim(key) {
				return
			}
			plain := o
			plain.set = ""
			d := l.report(c.operator(), "%s has one value: %s is meant for keys with several", key.Name, o.set)
			if o.set == "ForAnyValue" && !o.negated() && !o.ifExists { // only then the same in every request
				l.replaceOperator(d, s, c, plain.String())
			}
		},
	},
	{
		Record: Record{"LNT-107", Warning, "No set operator on a key with several values", "AWS does not say how a test without ForAnyValue or ForAllValues meets several values.", "IAM User Guide, Single-valued vs. multivalued context keys (rule 74)"},
		condition: func(l *linter, s *statement, c condition) {
			o, ok := operatorOf(c.Operator.Value)
			key, known := ref.LookupKey(c.Key.Value)
			if ok && known && o.set == "" && !o.null() && key.Multivalued {
				l.report(c.operator(), "%s can have several values: %s needs ForAnyValue or ForAllValues before it", key.Name, o)
			}
		},
	},
	{
		Record: Record{"LNT-108", Warning, "ForAllValues allows without the key", "ForAllValues is true where the key is absent or empty. An Allow needs a test beside it that the key is there: Null with \"false\".", "IAM User Guide, Single-valued vs. multivalued context keys (rule 64)"},
		condition: func(l *linter, s *statement, c condition) {
			o, ok := operatorOf(c.Operator.Value)
			if !ok || o.set != "ForAllValues" || s.Effect != policy.Allow || !l.compare(len(s.Condition)) {
				return
			}
			for i := range s.rule.Condition {
				t := &s.rule.Condition[i]
				if strings.EqualFold(t.Key, c.Key.Value) && t.NotUnderstood == "" && !t.Constraint().Absent {
					return
				}
			}
			l.report(c.operator(), "%s allows a request without %s too: nothing else in the statement asks for the key", o, c.Key.Value)
		},
	},
	{
		Record: Record{"LNT-109", Warning, "Operator of another type than the key", "Values of the key are of another type than the operator compares, so that the test is not what it looks like.", "IAM User Guide, IAM JSON policy elements: Condition operators; Service Authorization Reference (rules 66 to 73)"},
		condition: func(l *linter, s *statement, c condition) {
			o, ok := operatorOf(c.Operator.Value)
			key, known := ref.LookupKey(c.Key.Value)
			if ok && known && !compares(o.kind, key) {
				l.report(c.operator(), "%s is of type %s, which %s does not compare", key.Name, key.Type, o)
			}
		},
	},
	{
		Record: Record{"LNT-122", Warning, "Private address in aws:SourceIp", "aws:SourceIp is a public address. A request through a VPC endpoint does not have it; its private address is aws:VpcSourceIp.", "IAM User Guide, AWS global condition context keys: aws:SourceIp, aws:VpcSourceIp"},
		condition: func(l *linter, s *statement, c condition) {
			if !strings.EqualFold(c.Key.Value, "aws:SourceIp") {
				return
			}
			for i, v := range c.Values {
				if private(v.Value) {
					l.report(c.value(i), "%s is private, and aws:SourceIp is a public address: aws:VpcSourceIp has the private one", v.Value)
				}
			}
		},
	},
}

// claim reports whether a key is a claim of an identity provider's token. Whether it has several values is the provider's to
// choose: cognito-identity.amazonaws.com:amr has.
func claim(k ref.Key) bool {
	provider, _, _ := strings.Cut(k.Name, ":")
	return strings.Contains(provider, ".")
}

// withoutVariables is a value without its ${…}: ${*} is a star that is no wildcard.
func withoutVariables(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if _, s, found = strings.Cut(rest, "}"); !found {
			return b.String()
		}
	}
}

// compares reports whether an operator may meet a key of a type. Where AWS's documents mix types (booleans and numbers kept
// as strings, ARNs of type String), it may.
func compares(k cond.Kind, key ref.Key) bool {
	text := k == cond.String || k == cond.StringFold || k == cond.Like
	if k == cond.Anything {
		return true
	}
	switch key.Type {
	case ref.String:
		return text || k == cond.Bool || k == cond.Numeric || k == cond.ARN && strings.HasSuffix(strings.ToLower(key.Name), "arn")
	case ref.ARN:
		return text || k == cond.ARN
	case ref.Bool:
		return text || k == cond.Bool
	case ref.Date:
		return k == cond.Date || k == cond.Numeric
	case ref.Numeric:
		return k == cond.Numeric
	case ref.IPAddress:
		return k == cond.IP
	case ref.Binary:
		return k == cond.Binary
	}
	return true
}

// private reports whether every address of a value is one that no public request has.
func private(value string) bool {
	if !strings.Contains(value, "/") {
		a, err := netip.ParseAddr(value)
		return err == nil && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast())
	}
	p, err := netip.ParsePrefix(value)
	if err != nil {
		return false
	}
	for _, block := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10"} {
		b := netip.MustParsePrefix(block)
		if b.Bits() <= p.Bits() && b.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

package arn

import "strings"

// Fill is a text that a wildcard pattern matches, chosen to read well: each "*" and "?" becomes "x", but in an ARN a partition,
// a region or an account of wildcards becomes one that exists or looks so.
func Fill(pattern string) string { return fill(pattern, fillings[0]) }

// filling is what takes the place of wildcards.
type filling struct{ star, region, account string }

// fillings are tried in order by Example, because an exception in a policy often forbids the first.
var fillings = [...]filling{
	{"x", "us-east-1", "111122223333"},
	{"other", "eu-west-1", "444455556666"},
	{"1", "ap-south-1", "777788889999"},
	{"", "", "123456789012"},
}

func fill(pattern string, with filling) string {
	fields := strings.SplitN(pattern, ":", 6)
	if len(fields) == 6 && fields[0] == "arn" {
		if fields[1] == "*" {
			fields[1] = "aws"
		}
		if fields[3] == "*" {
			fields[3] = with.region
		}
		fields[4] = fillAccount(fields[4], with.account)
		pattern = strings.Join(fields, ":")
	}
	one := "x"
	if with.star != "" {
		one = with.star[:1]
	}
	return strings.ReplaceAll(strings.ReplaceAll(pattern, "*", with.star), "?", one)
}

// fillAccount makes twelve digits of the account field of a pattern, where its wildcards leave room for them.
func fillAccount(field, account string) string {
	if !strings.ContainsAny(field, "*?") {
		return field
	}
	if field == "*" {
		return account
	}
	var b strings.Builder
	spare := max(0, 12-len(strings.ReplaceAll(field, "*", "")))
	for i := range len(field) {
		switch field[i] {
		case '?':
			b.WriteByte(account[0])
		case '*':
			b.WriteString(account[:min(spare, len(account))])
			spare = 0
		default:
			b.WriteByte(field[i])
		}
	}
	return b.String()
}

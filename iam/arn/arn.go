// Package arn reads and matches the names of AWS: Amazon Resource Names, account ids, partitions,
// and the wildcards ("*" any run of characters, "?" exactly one) that policies use in them.
//
//	bucket := arn.CompilePattern("arn:aws:s3:::reports-*")
//	bucket.Match("arn:aws:s3:::reports-2026") // true, and costs no memory
//
// Parse takes an ARN apart, CompilePattern and CompileGlob prepare patterns for matching, and Intersects and Covers compare two
// patterns as the sets of names that they match. An ARN pattern is compared field by field, a Glob as one string.
//
// It promises to accept what IAM accepts in a policy and to say no to the rest with a reason; it refuses to guess a
// partition, a region or an account that the text does not carry. Nothing here knows a particular service's
// resource syntax: what follows the fifth colon is one opaque field.
//
// Source: IAM User Guide, "Amazon Resource Names (ARNs)" and "Elements: Resource". Rule numbers in comments refer to
// docs/reference/semantics.md.
package arn

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid is wrapped by every error of Parse.
var ErrInvalid = errors.New("not an ARN")

// ARN is an Amazon Resource Name split at its first five colons. Any field but Resource may be empty in a valid ARN
// (an S3 bucket has neither region nor account); a pattern may carry wildcards in any of them.
type ARN struct {
	Partition string // aws, aws-cn, aws-us-gov; partitions never match each other (rule 123)
	Service   string // s3, iam, sts, …
	Region    string
	Account   string // 12 digits, "aws" for managed policies, or empty
	Resource  string // everything after the fifth colon, colons and slashes included
}

// Parse splits s into the six fields of an ARN. It checks the shape only: a pattern such as
// arn:aws:iam::*:role/ci is an ARN too. Errors wrap ErrInvalid and say what is missing.
func Parse(s string) (ARN, error) {
	fields := strings.SplitN(s, ":", 6)
	if len(fields) < 6 {
		return ARN{}, fmt.Errorf("%w: %q has %d of 6 colon-separated fields", ErrInvalid, s, len(fields))
	}
	if fields[0] != "arn" {
		return ARN{}, fmt.Errorf("%w: %q does not begin with \"arn:\"", ErrInvalid, s)
	}
	if fields[1] == "" || fields[2] == "" || fields[5] == "" {
		return ARN{}, fmt.Errorf("%w: %q lacks its partition, service or resource", ErrInvalid, s)
	}
	return ARN{fields[1], fields[2], fields[3], fields[4], fields[5]}, nil
}

// String joins the fields again; Parse(a.String()) is a.
func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// ResourceType is the part of Resource before its first slash or colon: "role" of role/path/name. It is the whole of
// Resource where there is neither.
func (a ARN) ResourceType() string {
	if i := strings.IndexAny(a.Resource, "/:"); i >= 0 {
		return a.Resource[:i]
	}
	return a.Resource
}

// ResourceName is the part of Resource after its last slash: the name of an IAM role without its path.
func (a ARN) ResourceName() string {
	return a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
}

// Account is the account field of an ARN given as text, without the cost of Parse; "" where s is no ARN or has none.
func Account(s string) string {
	if !strings.HasPrefix(s, "arn:") {
		return ""
	}
	rest := s
	for range 4 {
		i := strings.IndexByte(rest, ':')
		if i < 0 {
			return ""
		}
		rest = rest[i+1:]
	}
	if i := strings.IndexByte(rest, ':'); i >= 0 {
		return rest[:i]
	}
	return ""
}

// IsAccountID reports whether s is a 12-digit account id.
func IsAccountID(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// IsUniqueID reports whether s has the shape of an IAM unique id: the four-letter prefix of a role (AROA), a user
// (AIDA), a group (AGPA), a managed policy (ANPA), an access key's or a bearer's, followed by capitals and digits. A
// trust policy shows one where the principal it named was deleted (rule 116).
func IsUniqueID(s string) bool {
	if len(s) < 16 || len(s) > 128 || s[0] != 'A' {
		return false
	}
	switch s[:4] {
	case "AROA", "AIDA", "AGPA", "ANPA", "AIPA", "ASCA", "ANVA", "APKA", "ABIA", "ACCA", "ABSK", "AKIA", "ASIA":
	default:
		return false
	}
	for i := 4; i < len(s); i++ {
		if (s[i] < 'A' || s[i] > 'Z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// AccountRoot is the ARN that stands for an account as a principal: arn:PARTITION:iam::ACCOUNT:root.
func AccountRoot(partition, account string) string {
	return "arn:" + partition + ":iam::" + account + ":root"
}

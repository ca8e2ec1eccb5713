package cond

// Reading is one point on which AWS's documents are silent, or stricter than what AWS may do. The engine takes each one the
// safe way unless told otherwise; whoever knows better for their organisation takes it the other way.
type Reading uint8

const (
	UserInTrust          Reading = iota // rule 38
	NotPrincipalStrict                  // rules 51 and 52
	NotPrincipalBoundary                // rule 53
	AnyValueIfExists                    // rule 65
	UnparsableNumber                    // rule 69
	BoolCase                            // rule 71
	BareIPv6                            // rule 72
	ManyValues                          // rule 74
	StarSpansColons                     // rule 87
	RCPWithoutResource                  // rule 97
	ProtectedObjects                    // rule 138
	readings
)

// Readings is a set of readings that are taken the other way. The zero value takes every reading the safe way.
type Readings uint16

// ReadingsOf is the set of some readings.
func ReadingsOf(list ...Reading) Readings {
	var r Readings
	for _, x := range list {
		r |= 1 << x
	}
	return r
}

// Has reports whether a reading is taken the other way.
func (r Readings) Has(x Reading) bool { return r&(1<<x) != 0 }

// Flip is the set with one reading turned round.
func (r Readings) Flip(x Reading) Readings { return r ^ 1<<x }

// ReadingRecord says what a reading is about.
type ReadingRecord struct {
	Reading Reading
	// Rules are the numbers in docs/reference/semantics.md.
	Rules []int
	// Name is the word for options and output, for example "user-in-trust".
	Name string
	// Safe and Other are the two ways to read it; Safe is what the engine does by itself.
	Safe, Other string
}

var readingRecords = [readings]ReadingRecord{
	{UserInTrust, []int{38}, "user-in-trust",
		"a trust policy that names a user of its own account needs no allow in the user's identity policies",
		"the user's identity policies must allow the call too"},
	{NotPrincipalStrict, []int{51, 52}, "not-principal-strict",
		"Deny with NotPrincipal spares only a caller that is listed with its account, and a session that is listed with its role and account",
		"it spares a caller that is listed by any of its names: session, role, user or account"},
	{NotPrincipalBoundary, []int{53}, "not-principal-boundary",
		"Deny with NotPrincipal hits every caller that has a boundary, whoever is listed",
		"a boundary makes no difference"},
	{AnyValueIfExists, []int{65}, "any-value-if-exists",
		"ForAnyValue with IfExists is false where the key is absent",
		"it is true there, as other operators with IfExists are"},
	{UnparsableNumber, []int{69}, "unparsable-number",
		"a request value that is no number matches no number, so that a negated test on it is true",
		"no numeric test on it is true, negated or not"},
	{BoolCase, []int{71}, "bool-case",
		"Bool compares without case",
		"Bool compares exactly: True is not true"},
	{BareIPv6, []int{72}, "bare-ipv6",
		"an IPv6 address without a prefix length means that one address",
		"a test with such an address is not understood, and stays Unknown"},
	{ManyValues, []int{74}, "many-values",
		"a test without set operator on a key with several values is Unknown",
		"it is true where one of the values passes"},
	{StarSpansColons, []int{87}, "star-spans-colons",
		"a star in the last field of a resource pattern spans colons",
		"it stops at colons"},
	{RCPWithoutResource, []int{97}, "rcp-without-resource",
		"an RCP does not reach a request that names no resource",
		"it does, where its statement covers every resource"},
	{ProtectedObjects, []int{138}, "protected-objects",
		"nobody can change a policy of AWS or a role that AWS reserves, whatever the policies say",
		"the policies decide"},
}

// AllReadings lists the readings in order of their rules.
func AllReadings() []ReadingRecord { return append([]ReadingRecord(nil), readingRecords[:]...) }

// Record says what a reading is about; the zero record where there is no such reading.
func (x Reading) Record() ReadingRecord {
	if x >= readings {
		return ReadingRecord{}
	}
	return readingRecords[x]
}

// Compiled are the readings that bear on how a policy is compiled. The others bear on how a request is decided.
func Compiled() []Reading {
	return []Reading{AnyValueIfExists, UnparsableNumber, BoolCase, BareIPv6, ManyValues}
}

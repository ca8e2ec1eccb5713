package cond

import "strings"

// Kind is what a test compares values as.
type Kind uint8

const (
	Anything   Kind = iota // every present value: what Null asks about
	String                 // exact, case-sensitive (rule 59)
	StringFold             // exact without case
	Like                   // wildcards (rule 66)
	Numeric                // rule 69
	Date                   // rule 70
	Bool                   // rule 71
	Binary                 // decoded bytes (rule 73)
	IP                     // addresses and CIDR blocks (rule 72)
	ARN                    // six fields with wildcards (rules 67, 68)
	Opaque                 // not understood: never decided
)

// Comparison is the relation of a numeric or date test: request value COMPARISON policy value.
type Comparison uint8

const (
	Equal Comparison = iota
	Less
	LessOrEqual
	Greater
	GreaterOrEqual
)

// Quantifier says how a test meets a key with several values.
type Quantifier uint8

const (
	One Quantifier = iota // the key has one value
	Any                   // ForAnyValue: some value passes; absent or empty fails (rule 65)
	All                   // ForAllValues: every value passes; absent or empty passes (rule 64)
)

func (q Quantifier) String() string { return [...]string{"", "ForAnyValue:", "ForAllValues:"}[q] }

type operator struct {
	kind    Kind
	compare Comparison
	negated bool
	null    bool
}

// operators is the table of condition operators by lower-case name. IAM has accepted the documents that are read here, so
// another case of a known name is that name.
// Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
var operators = map[string]operator{
	"stringequals":              {kind: String},
	"stringnotequals":           {kind: String, negated: true},
	"stringequalsignorecase":    {kind: StringFold},
	"stringnotequalsignorecase": {kind: StringFold, negated: true},
	"stringlike":                {kind: Like},
	"stringnotlike":             {kind: Like, negated: true},
	"numericequals":             {kind: Numeric},
	"numericnotequals":          {kind: Numeric, negated: true},
	"numericlessthan":           {kind: Numeric, compare: Less},
	"numericlessthanequals":     {kind: Numeric, compare: LessOrEqual},
	"numericgreaterthan":        {kind: Numeric, compare: Greater},
	"numericgreaterthanequals":  {kind: Numeric, compare: GreaterOrEqual},
	"dateequals":                {kind: Date},
	"datenotequals":             {kind: Date, negated: true},
	"datelessthan":              {kind: Date, compare: Less},
	"datelessthanequals":        {kind: Date, compare: LessOrEqual},
	"dategreaterthan":           {kind: Date, compare: Greater},
	"dategreaterthanequals":     {kind: Date, compare: GreaterOrEqual},
	"bool":                      {kind: Bool},
	"binaryequals":              {kind: Binary},
	"ipaddress":                 {kind: IP},
	"notipaddress":              {kind: IP, negated: true},
	"arnequals":                 {kind: ARN},
	"arnlike":                   {kind: ARN},
	"arnnotequals":              {kind: ARN, negated: true},
	"arnnotlike":                {kind: ARN, negated: true},
	"null":                      {kind: Anything, null: true},
}

// parseOperator takes an operator name apart: set operator, operator, IfExists.
func parseOperator(name string) (op operator, quant Quantifier, ifExists, ok bool) {
	lower := strings.ToLower(name)
	if rest, found := strings.CutPrefix(lower, "foranyvalue:"); found {
		lower, quant = rest, Any
	} else if rest, found := strings.CutPrefix(lower, "forallvalues:"); found {
		lower, quant = rest, All
	}
	if rest, found := strings.CutSuffix(lower, "ifexists"); found {
		lower, ifExists = rest, true
	}
	op, ok = operators[lower]
	if op.null && ifExists { // rule 62: every operator but Null
		ok = false
	}
	return op, quant, ifExists, ok
}

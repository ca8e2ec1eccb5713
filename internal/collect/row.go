package collect

import (
	"slices"
	"strings"
)

// Row is one kind of thing that the collector reads: the table of rows is what it does, what the policy of its role allows, and what the coverage page says.
type Row struct {
	Name      string   // in words: "SQS queue"
	Type      string   // CloudFormation type of what is read; "" where there is none
	Others    []string // further types that the same calls give
	Mechanism string   // how it lets other accounts in: "policy", "policy, ACL, Block Public Access"
	Place     Place
	Calls     []Call
	Note      string // what the reader of the coverage page should know: what is not read, and why
	read      func(*task)
}

// types are all that the row lists.
func (r *Row) types() []string {
	if r.Type == "" {
		return nil
	}
	return append([]string{r.Type}, r.Others...)
}

// Place says where a row is read.
type Place uint8

const (
	Regional  Place = iota // in each enabled region
	Global                 // once for each account, in the partition's first region
	Principal              // with the account's IAM, before everything else
	Central                // once, with the organisation
)

func (p Place) String() string {
	return [...]string{"each region", "once an account", "once an account", "once"}[p]
}

// Call is one operation of AWS's API and what it takes to be allowed to call it.
type Call struct {
	Service   string   // the service's name in the SDK: "SQS", "S3 Control"
	Operation string   // "ListQueues"
	Actions   []string // IAM actions; the first is the one that a refusal is most likely about
}

func (c Call) String() string { return c.Service + " " + c.Operation }

// calls reads "Operation" or "Operation=action:Name,action:Name" per call, of one service with an IAM prefix: where no action is given it is the operation's own name.
func calls(service, prefix string, operations ...string) []Call {
	var out []Call
	for _, o := range operations {
		operation, actions, ok := strings.Cut(o, "=")
		c := Call{Service: service, Operation: operation, Actions: []string{prefix + ":" + operation}}
		if ok {
			c.Actions = strings.Split(actions, ",")
		}
		out = append(out, c)
	}
	return out
}

// Rows is the table, in the order of the coverage page.
func Rows() []Row { return slices.Clone(rows) }

// rows joins the files of the table.
var rows []Row

// Rows read through functions that look calls up in the table: Go joins them only here.
func init() {
	rows = slices.Concat(organizationRows, iamRows, federationRows, storageRows, pointRows, keyRows, secretRows, messageRows, eventRows, computeRows, dataRows, shareRows, policyRows, networkRows, mediaRows, adminRows, lakeRows, logRows, modelRows)
}

// Actions are the IAM actions that rows need, sorted: the policy of the collector's role.
func Actions(rows []Row) []string {
	out := slices.Clone(ownActions)
	for _, r := range rows {
		for _, c := range r.Calls {
			out = append(out, c.Actions...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ownActions are those of the calls that belong to no row: which regions are enabled, and who is asking. (GetCallerIdentity needs none.)
var ownActions = []string{"ec2:DescribeRegions"}

// callOf is the table's record of an operation, for its actions: that of row where it has one, because the same operation can take other rights elsewhere (s3 and s3express). row may be nil.
func callOf(row *Row, service, operation string) (Call, bool) {
	if row != nil {
		for _, c := range row.Calls {
			if c.Service == service && c.Operation == operation {
				return c, true
			}
		}
	}
	for i := range rows {
		for _, c := range rows[i].Calls {
			if c.Service == service && c.Operation == operation {
				return c, true
			}
		}
	}
	return Call{Service: service, Operation: operation}, false
}

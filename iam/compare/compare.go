// Package compare says whether a change to a policy gives anybody anything new, and shows it by a request.
//
// The question "does NEW allow a request that OLD does not" ranges over all requests that could be made. It is answered in
// four steps, each of which cuts an infinite set into finitely many classes whose members no statement tells apart:
//
//   - actions are one class if the same Action elements match them; the known actions are those of package ref,
//   - resources are one class if they match the same Resource patterns; the classes that have no member are left out,
//   - callers are the accounts, services and providers that the policies name, and for each kind somebody whom they do not
//     name; an account's principals are asked about as one symbolic caller,
//   - what the conditions say is not enumerated: the evaluator leaves it over as a formula.
//
// For each class of each kind package eval decides twice, once by OLD and once by NEW. What NEW leaves over, and not what
// OLD does, is the difference. Where it can hold, a concrete request is made of it and put to the evaluator once more: only
// if NEW says Allow and OLD says Deny is it reported. There is no second opinion on what a policy means, so that a
// comparison cannot disagree with a decision.
//
// One layer is compared, and the others are taken as open as they can be: the resource of an identity policy delegates to
// the caller's account, and the callers of a resource policy may do everything by their own policies. In the resource's own
// account the policy both grants by itself and limits what identity policies grant; there a caller is asked about with everything,
// with nothing, and with a permissions boundary that allows nothing.
//
// What is neither proven nor shown is Undecided, with the reason, and never silently equal: statements that are not
// understood, variables that stand for anything, and questions beyond the stated budgets.
package compare

import (
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// Relation is how NEW stands to OLD. The zero value is Undecided.
type Relation uint8

const (
	Undecided    Relation = iota // something could not be decided, and could change the answer
	Equal                        // both allow the same requests
	Wider                        // NEW allows all that OLD does, and more
	Narrower                     // NEW allows nothing that OLD does not, and less
	Incomparable                 // each allows something that the other does not
)

func (r Relation) String() string {
	return [...]string{"undecided", "equal", "wider", "narrower", "incomparable"}[r]
}

// Options are what a comparison may be told. The zero value is ready.
type Options struct {
	// Engine decides; the zero value is ready.
	Engine eval.Evaluator
	// Account owns the role or resource of a trust or resource policy; for identity policies it is the identity's own. ""
	// where it is not known: every account is then one among others.
	Account string
	// Questions bounds how often the evaluator is asked in each direction; 0 means MaxQuestions.
	Questions int
}

// The budgets. What lies beyond is Undecided.
const (
	// MaxQuestions is how many combinations of action, resource and caller are decided for each direction.
	MaxQuestions = 200_000
	// maxResources is how many classes of resources are told apart for one class of actions.
	maxResources = 400
	// maxUndecided is how many undecided questions are named; the others are counted.
	maxUndecided = 20
)

// Result is the answer. Gained is what NEW allows and OLD does not, Lost the reverse; each Difference is confirmed by its
// Witness. NothingNew is proven only where Gained is empty and no question of that direction is undecided.
type Result struct {
	Relation     Relation
	Gained, Lost []Difference
	// Undecided says what could not be decided: in the first part what NEW may allow, in the second what it may have lost.
	Undecided []string
	// NothingNew: it is proven that NEW allows nothing that OLD does not.
	NothingNew bool
}

// Place names a statement: the document's index on its side and the statement's in the document. Statement is -1 where there is
// none.
type Place struct {
	Document, Statement int
	Sid                 string          // of the statement; "" where it has none
	Pos                 policy.Position // of the statement
}

var nowhere = Place{Document: -1, Statement: -1}

// Found reports whether the place is a statement.
func (p Place) Found() bool { return p.Statement >= 0 }

// Difference is one thing that one side allows and the other does not.
type Difference struct {
	// Allows is the statement that allows it. Denies is the Deny statement by which the other side does not; nowhere where
	// nothing allows it there.
	Allows, Denies Place
	// Actions are those that differ alike, sorted.
	Actions []string
	// Resource is one of the resources. Unusual: it is of no type that the witness's action takes, as far as AWS's tables say.
	Resource string
	Unusual  bool
	// Who says in words who may, sorted.
	Who []string
	// Conditions are what must hold besides, Always where nothing must.
	Conditions cond.Formula
	Witness    Witness

	anyone bool // Who are the principals of any account that no policy names
}

// Policies compares two sides, each of one or several documents of one kind: Identity, Resource or Trust. Other kinds are
// Undecided.
func Policies(kind policy.Kind, old, new []*policy.Policy, o Options) Result {
	if o.Questions <= 0 {
		o.Questions = MaxQuestions
	}
	if kind != policy.Identity && kind != policy.Resource && kind != policy.Trust {
		return Result{Undecided: []string{"policies of this kind are not compared: identity, resource and trust policies are"}}
	}
	c := newComparison(kind, slices.Concat(old, new), o)
	gained, open := c.direction(old, new)
	lost, closed := c.direction(new, old)
	r := Result{Gained: gained, Lost: lost, Undecided: slices.Concat(open, closed), NothingNew: len(gained)+len(open) == 0}
	switch more, less := len(gained) > 0, len(lost) > 0; {
	case more && less:
		r.Relation = Incomparable
	case more && len(closed) == 0:
		r.Relation = Wider
	case less && len(open) == 0:
		r.Relation = Narrower
	case !more && !less && len(open)+len(closed) == 0:
		r.Relation = Equal
	}
	return r
}

// comparison is what both directions share.
type comparison struct {
	kind      policy.Kind
	o         Options
	all       []*policy.Policy // of both sides
	partition string
	owner     string                  // account of the resource, made up where it is not known
	texts     map[*policy.Rule]string // what each statement says beside its action and resource
	callers   []caller
	variables []string // keys of the variables in Resource elements
	sessions  bool     // some statement tells sessions of a role apart
	classes   []actionClass
	resources map[string]resourceClasses // by the patterns that tell them apart

	incomplete string // why some actions may be missing, "" where none is
	ownerKey   bool   // some condition tests aws:ResourceAccount
}

func newComparison(kind policy.Kind, all []*policy.Policy, o Options) *comparison {
	c := &comparison{kind: kind, o: o, all: all, partition: partitionOf(all), texts: textsOf(all), resources: map[string]resourceClasses{}}
	for rule := range c.rules(all) {
		for i := range rule.Resources.Values {
			if t := rule.Resources.Values[i].Template; t != nil {
				c.variables = append(c.variables, variablesOf(t.String())...)
			}
		}
		for i := range rule.Condition {
			c.ownerKey = c.ownerKey || mentions(rule.Condition[i].Constraint(), "aws:ResourceAccount")
		}
		for _, v := range rule.Principals.Values {
			c.sessions = c.sessions || v.Form == policy.SessionForm
		}
	}
	slices.Sort(c.variables)
	c.variables = slices.Compact(c.variables)
	c.owner = c.ownerOf()
	c.callers = c.callersOf()
	c.classes = c.actionClasses()
	return c
}

// rules iterates over the statements of some documents.
func (c *comparison) rules(side []*policy.Policy) func(func(*policy.Rule) bool) {
	return func(yield func(*policy.Rule) bool) {
		for _, p := range side {
			for i := range p.Rules {
				if !yield(&p.Rules[i]) {
					return
				}
			}
		}
	}
}

// direction lists what the side `to` allows and `from` does not, and what of it is undecided.
func (c *comparison) direction(from, to []*policy.Policy) ([]Difference, []string) {
	s := search{comparison: c, from: from, to: to}
	if c.incomplete != "" {
		s.open = append(s.open, question{reason: c.incomplete})
	}
	for i := range c.classes {
		s.class(&c.classes[i])
		if s.asked > c.o.Questions {
			s.open = append(s.open, question{reason: "more combinations of actions, resources and callers than are worked out"})
			break
		}
	}
	return merge(s.found), describe(s.open)
}

// mentions reports whether a constraint tests a key, or uses it as a variable.
func mentions(k *cond.Constraint, key string) bool {
	return strings.EqualFold(k.Key, key) || slices.ContainsFunc(k.Values(), func(v string) bool {
		return slices.Contains(variablesOf(v), strings.ToLower(key))
	})
}

// partitionOf is the partition that the documents name first, aws where they name none.
func partitionOf(all []*policy.Policy) string {
	for _, p := range all {
		for i := range p.Rules {
			for _, v := range p.Rules[i].Principals.Values {
				if v.Partition != "" {
					return v.Partition
				}
			}
			for _, v := range p.Rules[i].Resources.Values {
				if a, err := arn.Parse(v.Pattern.String()); err == nil && v.Template == nil && (a.Partition == "aws-cn" || a.Partition == "aws-us-gov") {
					return a.Partition
				}
			}
		}
	}
	return "aws"
}

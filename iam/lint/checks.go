package lint

import (
	"slices"
	"strings"
)

// Ids of the checks that Parse makes.
const (
	unreadableID = "LNT-001"
	grammarID    = "LNT-002"
)

// checks is every check, in order of id: errors from 001 on, warnings from 101, notes from 201.
var checks = byID(
	[]check{
		{Record: Record{unreadableID, Error, "No JSON object", "AWS refuses a text that is no JSON object.", "IAM User Guide, Grammar of the IAM JSON policy language (rule 15)"}},
		{Record: Record{grammarID, Error, "Against the grammar", "AWS refuses elements that it does not know, elements of the wrong type, elements that are missing, empty or given twice, and versions other than 2012-10-17 and 2008-10-17.", "IAM User Guide, Grammar of the IAM JSON policy language (rules 15, 17)"}},
	},
	elementChecks,
	principalChecks,
	actionChecks,
	resourceChecks,
	conditionChecks,
	sizeChecks,
	statementChecks,
)

func byID(lists ...[]check) []check {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b check) int { return strings.Compare(a.ID, b.ID) })
	return all
}

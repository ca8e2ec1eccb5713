// Package catalog holds the rules: records with a function, by family. Each record carries what people read about the rule,
// from which the pages under docs/rules and the metadata of SARIF reports are made; each function is short, because facts
// that several rules need are computed once in package access.
//
// Rules judge conditions by their meaning (package cond), never by their presence, and report what is not known as not
// assessed. Identifiers are never reused.
package catalog

//go:generate go run ./gen

import (
	"slices"
	"strings"

	"drawbridge/internal/rule"
)

// Rules are those that look at an organisation, in order of id. The records are not to be changed.
func Rules() []*rule.Rule {
	return ordered(trustRules, externalRules, federationRules, serviceRules, permissionRules,
		chainRules, resourceRules, keyRules, sessionRules, coverageRules, registryRules, usageRules,
		shareRules, agentRules, guardRules)
}

// Planned are the rules about a change that is not made yet, in order of id. A scan does not run them.
func Planned() []*rule.Rule { return ordered(plannedRules) }

// All are the rules of both kinds, in order of id.
func All() []*rule.Rule {
	all := slices.Concat(Rules(), Planned())
	slices.SortFunc(all, byID)
	return all
}

func ordered(families ...[]rule.Rule) []*rule.Rule {
	var all []*rule.Rule
	for _, family := range families {
		for i := range family {
			all = append(all, &family[i])
		}
	}
	slices.SortFunc(all, byID)
	return all
}

func byID(a, b *rule.Rule) int { return strings.Compare(a.ID, b.ID) }

// Rule finds a rule by its id, in any case; nil where there is none.
func Rule(id string) *rule.Rule {
	for _, r := range All() {
		if strings.EqualFold(r.ID, id) {
			return r
		}
	}
	return nil
}

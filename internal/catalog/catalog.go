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

// Rules are all rules, in order of id. The records are not to be changed.
func Rules() []*rule.Rule {
	var all []*rule.Rule
	for _, family := range [...][]rule.Rule{
		trustRules, externalRules, federationRules, serviceRules, permissionRules,
		chainRules, resourceRules, keyRules, sessionRules, coverageRules, registryRules, usageRules,
		shareRules, agentRules, guardRules,
	} {
		for i := range family {
			all = append(all, &family[i])
		}
	}
	slices.SortFunc(all, func(a, b *rule.Rule) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Rule finds a rule by its id, in any case; nil where there is none.
func Rule(id string) *rule.Rule {
	for _, r := range Rules() {
		if strings.EqualFold(r.ID, id) {
			return r
		}
	}
	return nil
}

package catalog

import "drawbridge/internal/rule"

var (
	permissionRules []rule.Rule
	chainRules      []rule.Rule
	resourceRules   []rule.Rule
	keyRules        []rule.Rule
	sessionRules    []rule.Rule
	coverageRules   []rule.Rule
)

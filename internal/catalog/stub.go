package catalog

import "drawbridge/internal/rule"

var (
	trustRules      []rule.Rule
	externalRules   []rule.Rule
	permissionRules []rule.Rule
	chainRules      []rule.Rule
	resourceRules   []rule.Rule
	keyRules        []rule.Rule
	sessionRules    []rule.Rule
	coverageRules   []rule.Rule
)

// Package ref holds reference tables about AWS: facts that age. Each table names its source and its date, and is
// passed to the engine and the rules as an argument; nothing here decides.
//
//	engine := ref.Engine()                      // an evaluator with the tables that it needs
//	ref.Expand("s3:Get*Acl")                    // the actions that a pattern covers
//	ref.ConditionKey("aws:PrincipleOrgID")      // not documented; aws:PrincipalOrgID is nearest
//	issuer, shared := ref.SharedIssuer(provider) // whether an OIDC issuer serves many tenants
//
// What a table does not hold may exist all the same: Tables says of which day each one is.
package ref

// Dated is where a table comes from.
type Dated struct {
	What   string // the table, in a few words
	AsOf   string // day up to which the source was known when the table was made, YYYY-MM-DD
	Source string // page, package or people that it is taken from
}

// Tables lists the tables with what they hold and of when they are.
func Tables() []Dated {
	return []Dated{RCPServicesFrom, KMSAcrossAccountsFrom, IssuersFrom, SourceKeysFrom, GlobalKeysFrom, ActionsFrom()}
}

// Package ref holds reference tables about AWS: facts that age. Each table names its source and its date, and is
// passed to the engine and the rules as an argument; nothing here decides.
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

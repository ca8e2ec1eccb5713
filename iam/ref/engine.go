package ref

import "drawbridge/iam/eval"

// Engine is an evaluator with the tables of this package: the services that RCPs reach and the KMS actions that work across
// accounts, as of their dates.
func Engine() eval.Evaluator {
	return eval.Evaluator{RCPServices: RCPServices(), KMSAcrossAccounts: KMSAcrossAccounts()}
}

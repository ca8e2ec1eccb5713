package ref

import "strings"

// GlobalKeysFrom is the source of the condition keys that are known besides those of the table of actions.
var GlobalKeysFrom = Dated{
	"further condition keys", "2026-11-23",
	"IAM User Guide, AWS global condition context keys; AWS Transfer Family User Guide, Example session policy",
}

// documented are keys that AWS documents and the table of actions lacks, or knows less of.
var documented = []Key{
	{Name: "aws:SignInSessionArn", Type: ARN, Global: true},
	{Name: "aws:SourceVpcArn", Type: ARN, Global: true}, // a string in the table
	// Transfer Family fills these into the session policies of its users.
	{Name: "transfer:HomeBucket", Type: String, Global: true},
	{Name: "transfer:HomeDirectory", Type: String, Global: true},
	{Name: "transfer:HomeFolder", Type: String, Global: true},
	{Name: "transfer:UserName", Type: String, Global: true},
}

// ConditionKey says whether a condition key is documented. Keys whose prefix is neither aws nor a known service are taken
// as known: identity providers choose their own. Nearest is the documented key that an unknown one most resembles, ""
// where none is close.
func ConditionKey(key string) (known bool, nearest string) {
	prefix, name, _ := strings.Cut(strings.ToLower(key), ":")
	t := tables()
	if _, service := t.services[prefix]; !service && prefix != "aws" {
		return true, ""
	}
	if _, ok := LookupKey(key); ok {
		return true, ""
	}
	head, _, _ := strings.Cut(name, "/") // a tag key is no part of the comparison
	best := mistakes(head)
	for _, k := range t.sorted {
		p, n, _ := strings.Cut(strings.ToLower(k.Name), ":")
		if p != prefix && p != "aws" && p != "sts" {
			continue
		}
		n, _, _ = strings.Cut(n, "/")
		wrong := 0
		if p != prefix {
			wrong = 1 // mistake
		}
		if d, ok := within(n, head, best-wrong); ok {
			best, nearest = d+wrong, k.Name
		}
	}
	return false, nearest
}

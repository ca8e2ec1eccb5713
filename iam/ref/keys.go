package ref

import "strings"

// GlobalKeysFrom is the source of the condition keys that are known here.
var GlobalKeysFrom = Dated{"condition keys", "2026-11-23", "IAM User Guide, AWS global condition context keys; Service Authorization Reference, AWS Security Token Service"}

// conditionKeys are the documented keys of the prefixes aws and sts, in lower case. A key that ends in a slash is followed by
// a tag key.
var conditionKeys = strings.Fields(`
aws:assumedroot aws:calledvia aws:calledviaawsmcp aws:calledviafirst aws:calledvialast aws:chatbotsourcearn aws:currenttime aws:ec2instancesourceprivateipv4
aws:ec2instancesourcevpc aws:epochtime aws:federatedprovider aws:ismcpserviceaction aws:multifactorauthage aws:multifactorauthpresent
aws:principalaccount aws:principalarn aws:principalisawsservice aws:principalorgid aws:principalorgpaths aws:principalservicename
aws:principalservicenameslist aws:principaltag/ aws:principaltype aws:referer aws:requestedregion aws:requesttag/ aws:resourceaccount
aws:resourceorgid aws:resourceorgpaths aws:resourcetag/ aws:securetransport aws:signinsessionarn aws:sourceaccount aws:sourcearn aws:sourceidentity
aws:sourceip aws:sourceorgid aws:sourceorgpaths aws:sourceowner aws:sourcevpc aws:sourcevpcarn aws:sourcevpce aws:tagkeys aws:tokenissuetime
aws:useragent aws:userid aws:username aws:viaawsmcpservice aws:viaawsservice aws:vpceaccount aws:vpceorgid aws:vpceorgpaths aws:vpcsourceip
sts:awsservicename sts:durationseconds sts:externalid sts:identitytokenaudience sts:requestcontext/ sts:requestcontextproviders sts:roleauthorizedbyidp sts:rolesessionname
sts:signingalgorithm sts:sourceidentity sts:taskpolicyarn sts:transitivetagkeys`)

// ConditionKey says whether a condition key is documented. Keys of other prefixes than aws and sts are taken as known: the
// services' own tables are not part of this list. Nearest is the documented key that an unknown one most resembles, ""
// where none is close.
func ConditionKey(key string) (known bool, nearest string) {
	lower := strings.ToLower(key)
	if !strings.HasPrefix(lower, "aws:") && !strings.HasPrefix(lower, "sts:") {
		return true, ""
	}
	best := 4 // more mistakes than this are another key
	for _, k := range conditionKeys {
		if k == lower || strings.HasSuffix(k, "/") && strings.HasPrefix(lower, k) && len(lower) > len(k) {
			return true, ""
		}
		if d := distance(k, lower); d < best {
			best, nearest = d, k
		}
	}
	return false, nearest
}

// distance is the number of characters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			up := row[j]
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(up+1, row[j-1]+1, diagonal+cost)
			diagonal = up
		}
	}
	return row[len(b)]
}

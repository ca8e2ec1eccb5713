package lint

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"drawbridge/iam/policy"
)

// sizes are the most characters of each kind of policy, and the fewest where AWS has several quotas for a kind. IAM does not
// count white space between elements; Organizations does, and its console takes it out.
// Sources, as of 2026-11-23: IAM User Guide, IAM and AWS STS quotas; AWS Organizations User Guide, Quotas, which doubled that of
// service control policies in May 2026.
var sizes = map[policy.Kind]struct {
	most  int
	place string // where most is allowed
	less  int    // 0: there is one quota
	where string // where less is allowed
}{
	policy.Identity: {10240, "all inline policies of a role", 6144, "a managed policy has 6144 characters at most, the inline policies of a group 5120, of a user 2048"},
	policy.Boundary: {6144, "a managed policy", 0, ""},
	policy.Trust:    {8192, "a trust policy, with the quota raised,", 2048, "without a raised quota a trust policy has 2048 characters at most"},
	policy.Session:  {2048, "a session policy", 0, ""},
	policy.SCP:      {10240, "a service control policy", 0, ""},
	policy.RCP:      {5120, "a resource control policy", 0, ""},
}

// sizeChecks are about the length of the document.
var sizeChecks = []check{
	{
		Record: Record{"LNT-021", Error, "Too long", "Each kind of policy has a quota of characters, for which white space between elements does not count. A document that fits only under a greater quota of its kind, or (in Organizations) only without its white space, is a note.", "IAM User Guide, IAM and AWS STS quotas; AWS Organizations User Guide, Quotas (as of 2026-11-23)"},
		document: func(l *linter) {
			quota, ok := sizes[l.kind]
			length := counted(l.text)
			at := place{pos: l.document.Pos, statement: -1}
			switch {
			case !ok || length == 0:
			case length > quota.most:
				l.report(at, "%d characters without white space: %s has %d at most", length, quota.place, quota.most)
			case l.is(policy.SCP, policy.RCP) && utf8.RuneCountInString(l.text) > quota.most:
				l.report(at, "%d characters with white space, which Organizations counts unless its console takes it out: %s has %d at most", utf8.RuneCountInString(l.text), quota.place, quota.most).Severity = Note
			case quota.less > 0 && length > quota.less:
				l.report(at, "%d characters without white space: %s", length, quota.where).Severity = Note
			}
		},
	},
}

// counted is the length of a document without the white space between its elements, 0 where the text is no JSON: where it
// is URL-encoded, or not known.
func counted(text string) int {
	var b bytes.Buffer
	if json.Compact(&b, bytes.TrimPrefix([]byte(text), []byte("\xef\xbb\xbf"))) != nil {
		return 0
	}
	return utf8.RuneCount(b.Bytes())
}

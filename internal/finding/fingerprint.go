package finding

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// fingerprintDigits is the length of a fingerprint: 64 bits, enough to tell millions of findings apart.
const fingerprintDigits = 16

// Fingerprint identifies a problem across runs: 16 hexadecimal digits of the SHA-256 of the rule, the subject and what
// distinguishes two problems of one rule on one subject. Positions and wording are left out, so that moving a policy in
// its file or mending a sentence does not make a problem new.
func Fingerprint(rule, subject string, parts ...string) string {
	h := sha256.New()
	for _, part := range append([]string{rule, subject}, parts...) {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:fingerprintDigits]
}

// Sort orders findings by severity, worst first, what is confirmed before what is not assessed, then by rule, subject and
// grantee.
func Sort(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Status, b.Status),
			-cmp.Compare(a.Severity, b.Severity),
			cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Subject, b.Subject),
			cmp.Compare(a.Grantee, b.Grantee),
			cmp.Compare(a.Fingerprint, b.Fingerprint),
		)
	})
}

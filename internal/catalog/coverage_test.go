package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
)

// TestLikeGapsAreOneFinding: a call that is denied in 17 regions of 2,000 accounts is one thing to cure.
func TestLikeGapsAreOneFinding(t *testing.T) {
	s := &snapshot.Snapshot{Version: 1}
	add := func(g snapshot.Gap) { s.Gaps = append(s.Gaps, g) }
	for i := range 2000 {
		account := fmt.Sprintf("%012d", 100000000000+i)
		for r := range 17 {
			add(snapshot.Gap{Kind: snapshot.GapCall, Subject: fmt.Sprintf("%s/eu-west-%d", account, r), Account: account, Call: "KMS ListKeys", Code: "AccessDeniedException", Reason: "KMS key: KMS ListKeys: AccessDeniedException"})
		}
		add(snapshot.Gap{Kind: snapshot.GapRegion, Subject: account + "/ap-south-1", Account: account, Reason: "the region was not asked for"})
	}
	add(snapshot.Gap{Kind: snapshot.GapCall, Subject: "100000000000/eu-west-1", Account: "100000000000", Call: "KMS ListKeys", Code: "ThrottlingException", Reason: "KMS key: KMS ListKeys: ThrottlingException"})
	add(snapshot.Gap{Kind: snapshot.GapAccount, Subject: "100000000001", Account: "100000000001", Reason: "suspended"})
	add(snapshot.Gap{Kind: snapshot.GapAccount, Subject: "100000000002", Account: "100000000002", Reason: "suspended"})
	run := func() []string {
		o := org.Build(s)
		g := access.Build(o, access.Options{Now: time.Unix(0, 0), Engine: ref.Engine()})
		var out []string
		for _, f := range rule.Run(Rules(), &rule.Input{Graph: g, Org: o, Now: time.Unix(0, 0)}) {
			if f.Rule == "COV-001" && (f.Subject == "KMS ListKeys" || f.Subject == "ap-south-1" || strings.HasPrefix(f.Subject, "1000000")) {
				out = append(out, f.Subject+": "+f.Reason+" "+f.Fingerprint)
			}
		}
		return out
	}
	got := run()
	if len(got) != 5 || !strings.Contains(strings.Join(got, "\n"), "KMS ListKeys: KMS key: KMS ListKeys: AccessDeniedException (in 17 regions, in 2000 accounts)") || !strings.Contains(strings.Join(got, "\n"), "ap-south-1: the region was not asked for (in 2000 accounts)") {
		t.Errorf("findings\n%s", strings.Join(got, "\n"))
	}
	// One account more or less is the same problem: the fingerprint stays.
	s.Gaps = s.Gaps[18:]
	again := run()
	for i, line := range got {
		if words := strings.Fields(line); strings.HasPrefix(line, "KMS ListKeys") && !strings.Contains(strings.Join(again, "\n"), words[len(words)-1]) {
			t.Errorf("line %d has another fingerprint with an account less: %s", i, line)
		}
	}
}

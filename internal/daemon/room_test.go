package daemon

import (
	"encoding/json"
	"testing"
	"time"

	"drawbridge/internal/awssts"
	"drawbridge/internal/broker"
	"drawbridge/internal/setup"
)

// TestRoomIsKept: what setup puts on a target role has the name of the deny of all older sessions, and is no shorter, so that writing that deny needs no room that the role may not have.
func TestRoomIsKept(t *testing.T) {
	e := &broker.Effect{Kind: broker.DenyOlder, Older: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	if name := awssts.PolicyName(e); name != setup.OlderSessions {
		t.Errorf("the deny is named %s, setup keeps room under %s", name, setup.OlderSessions)
	}
	deny, err := awssts.Policy(e)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(new(setup.Target).Room())
	if err != nil {
		t.Fatal(err)
	}
	if len(kept) < len(deny) {
		t.Errorf("%d characters are kept, %d needed:\n%s\n%s", len(kept), len(deny), kept, deny)
	}
}

// TestQuarantineIsKnown: the policy that setup prints is the one that the broker takes for its own, with nobody on the list.
func TestQuarantineIsKnown(t *testing.T) {
	if got, want := (&setup.Quarantine{}).Policy(), awssts.QuarantinePolicy(nil); got != want {
		t.Errorf("setup prints %s\nthe broker expects %s", got, want)
	}
}

package usage

import (
	"testing"

	"drawbridge/iam/ref"
)

func TestService(t *testing.T) {
	for source, service := range Services {
		if len(ref.ServiceActions(service)) == 0 {
			t.Errorf("no action has %q in front", service)
		}
		if len(ref.ServiceActions(source)) > 0 {
			t.Errorf("%q is in front of actions itself", source)
		}
	}
	if Service("monitoring") != "cloudwatch" || Service("s3") != "s3" {
		t.Error("sources are not what they are")
	}
}

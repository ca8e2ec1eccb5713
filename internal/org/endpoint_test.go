package org

import (
	"testing"

	"drawbridge/internal/snapshot"
)

// TestEndpointPolicyLetsNobodyIn: AWS gives every endpoint a policy that allows everybody everything. It is no trust.
func TestEndpointPolicyLetsNobodyIn(t *testing.T) {
	open, _ := snapshot.NewDocument("resource policy", []byte(`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`), snapshot.Source{}, false)
	o := Build(&snapshot.Snapshot{Resources: []snapshot.Resource{
		{ARN: "arn:aws:ec2:eu-west-1:111122223333:vpc-endpoint/vpce-1", Type: "AWS::EC2::VPCEndpoint", Account: "111122223333", Policy: open},
		{ARN: "arn:aws:sqs:eu-west-1:111122223333:orders", Type: "AWS::SQS::Queue", Account: "111122223333", Policy: open},
	}})
	if e, _ := o.Resource("arn:aws:ec2:eu-west-1:111122223333:vpc-endpoint/vpce-1"); e.Policy != nil {
		t.Errorf("the endpoint's policy counts as a resource policy: %+v", e.Policy)
	}
	if q, _ := o.Resource("arn:aws:sqs:eu-west-1:111122223333:orders"); q.Policy == nil {
		t.Error("the queue's policy does not count")
	}
}

package collect

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// messageRows are queues, topics and event buses.
var messageRows = []Row{
	{
		Name: "SQS queue", Type: "AWS::SQS::Queue", Mechanism: "policy", Place: Regional,
		Calls: calls("SQS", "sqs", "ListQueues", "GetQueueAttributes"),
		read: func(t *task) {
			c := sqs.NewFromConfig(t.cfg)
			urls := listed(t, sqs.NewListQueuesPaginator(c, &sqs.ListQueuesInput{MaxResults: aws.Int32(1000)}), func(out *sqs.ListQueuesOutput) []string { return out.QueueUrls })
			each(t, urls, func(url string) {
				r := resource{ARN: t.arn("sqs", last(url))}
				out, o := ask(t, c.GetQueueAttributes, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNamePolicy, types.QueueAttributeNameKmsMasterKeyId}}, "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
				if o.absent {
					return // deleted since it was listed
				}
				var text *string
				if out != nil {
					if p, ok := out.Attributes["Policy"]; ok {
						text = &p
					}
				}
				r.Policy, r.Error = policy(text, o)
				t.resource(r)
			})
		},
	},
}

package collect

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/schemas"
	schematypes "github.com/aws/aws-sdk-go-v2/service/schemas/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// eventRows are topics, event buses and what describes events.
var eventRows = []Row{
	{
		Name: "SNS topic", Type: "AWS::SNS::Topic", Mechanism: "policy; subscriptions of other accounts", Place: Regional,
		Calls: calls("SNS", "sns", "ListTopics", "GetTopicAttributes", "ListSubscriptionsByTopic"),
		Note:  "Subscriptions that another account owns or receives are attributes.foreignSubscriptions: they outlive the policy that let them in. Addresses are not kept, only ARNs.",
		read: func(t *task) {
			c := sns.NewFromConfig(t.cfg)
			list := listed(t, sns.NewListTopicsPaginator(c, &sns.ListTopicsInput{}), func(out *sns.ListTopicsOutput) []snstypes.Topic { return out.Topics })
			each(t, list, func(topic snstypes.Topic) {
				r := resource{ARN: aws.ToString(topic.TopicArn), Attributes: map[string]any{}}
				r.Policy, r.Error = policyBy(t, c.GetTopicAttributes, &sns.GetTopicAttributesInput{TopicArn: topic.TopicArn}, func(out *sns.GetTopicAttributesOutput) *string {
					text := out.Attributes["Policy"]
					if key := out.Attributes["KmsMasterKeyId"]; isARN(key) {
						r.Attributes["sseKmsKey"] = key
					}
					return &text
				})
				var foreign []map[string]string
				pagesOf(t, r.ARN, sns.NewListSubscriptionsByTopicPaginator(c, &sns.ListSubscriptionsByTopicInput{TopicArn: topic.TopicArn}), func(out *sns.ListSubscriptionsByTopicOutput) {
					for _, s := range out.Subscriptions {
						one := map[string]string{"protocol": aws.ToString(s.Protocol), "owner": aws.ToString(s.Owner)}
						endpoint := aws.ToString(s.Endpoint)
						if isARN(endpoint) {
							one["endpoint"] = endpoint
						}
						if one["owner"] != "" && one["owner"] != t.account || isARN(endpoint) && accountOf(endpoint) != "" && accountOf(endpoint) != t.account {
							foreign = append(foreign, one)
						}
					}
				})
				if len(foreign) > 0 {
					r.Attributes["foreignSubscriptions"] = foreign
				}
				t.resource(r)
			})
		},
	},
	{
		Name: "EventBridge bus", Type: "AWS::Events::EventBus", Mechanism: "policy; rule targets in other accounts", Place: Regional,
		Calls: calls("EventBridge", "events", "ListEventBuses", "ListRules", "ListTargetsByRule"),
		Note:  "Targets of rules that lie in other accounts are attributes.foreignTargets of their bus.",
		read:  readBuses,
	},
	{
		Name: "EventBridge schema registry", Type: "AWS::EventSchemas::Registry", Mechanism: "policy", Place: Regional,
		Calls: calls("schemas", "schemas", "ListRegistries", "GetResourcePolicy"),
		Note:  "AWS's own registries, whose names begin with aws., are passed over.",
		read: func(t *task) {
			c := schemas.NewFromConfig(t.cfg)
			list := listed(t, schemas.NewListRegistriesPaginator(c, &schemas.ListRegistriesInput{}), func(out *schemas.ListRegistriesOutput) []schematypes.RegistrySummary { return out.Registries })
			each(t, list, func(g schematypes.RegistrySummary) {
				if strings.HasPrefix(aws.ToString(g.RegistryName), "aws.") {
					return
				}
				r := resource{ARN: aws.ToString(g.RegistryArn)}
				r.Policy, r.Error = policyBy(t, c.GetResourcePolicy, &schemas.GetResourcePolicyInput{RegistryName: g.RegistryName}, func(out *schemas.GetResourcePolicyOutput) *string { return out.Policy }, "NotFoundException")
				t.resource(r)
			})
		},
	},
}

func readBuses(t *task) {
	c := eventbridge.NewFromConfig(t.cfg)
	list := listed(t, eventList("ListEventBuses", func(ctx context.Context, token *string) (*eventbridge.ListEventBusesOutput, *string, error) {
		out, err := c.ListEventBuses(ctx, &eventbridge.ListEventBusesInput{NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out, out.NextToken, nil
	}), func(out *eventbridge.ListEventBusesOutput) []eventtypes.EventBus { return out.EventBuses })
	for _, b := range list {
		r := resource{ARN: aws.ToString(b.Arn), Attributes: map[string]any{}}
		r.Policy, r.Error = policy(b.Policy, outcome{})
		var rules []eventtypes.Rule
		pagesOf(t, r.ARN, eventList("ListRules", func(ctx context.Context, token *string) (*eventbridge.ListRulesOutput, *string, error) {
			out, err := c.ListRules(ctx, &eventbridge.ListRulesInput{EventBusName: b.Name, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			return out, out.NextToken, nil
		}), func(out *eventbridge.ListRulesOutput) { rules = append(rules, out.Rules...) })
		targets := make([][]map[string]string, len(rules))
		indexes := make([]int, len(rules))
		for i := range indexes {
			indexes[i] = i
		}
		each(t, indexes, func(i int) {
			pagesOf(t, aws.ToString(rules[i].Arn), eventList("ListTargetsByRule", func(ctx context.Context, token *string) (*eventbridge.ListTargetsByRuleOutput, *string, error) {
				out, err := c.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{EventBusName: b.Name, Rule: rules[i].Name, NextToken: token})
				if err != nil {
					return nil, nil, err
				}
				return out, out.NextToken, nil
			}), func(out *eventbridge.ListTargetsByRuleOutput) {
				for _, target := range out.Targets { // of a target only its ARN and role: its input may hold anything
					if arn := aws.ToString(target.Arn); accountOf(arn) != "" && accountOf(arn) != t.account {
						targets[i] = append(targets[i], map[string]string{"rule": aws.ToString(rules[i].Arn), "target": arn, "role": aws.ToString(target.RoleArn), "state": string(rules[i].State)})
					}
				}
			})
		})
		if foreign := slices.Concat(targets...); len(foreign) > 0 {
			r.Attributes["foreignTargets"] = foreign
		}
		t.resource(r)
	}
}

func eventList[Out any](operation string, next func(context.Context, *string) (Out, *string, error)) *turns[Out] {
	return &turns[Out]{service: "EventBridge", operation: operation, next: next}
}

// accountOf is the account of an ARN, "" where it has none.
func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

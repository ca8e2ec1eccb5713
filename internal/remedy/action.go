package remedy

import (
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/registry"
)

// Grain is how finely permissions are narrowed.
type Grain string

const (
	ServiceGrain  Grain = "service"  // whole services that are used
	ActionGrain   Grain = "action"   // the actions that are used
	ResourceGrain Grain = "resource" // the actions, on the resources that are declared or were seen
)

// Grains are all grains, the coarsest first.
var Grains = []Grain{ServiceGrain, ActionGrain, ResourceGrain}

// wanted is an action that is needed: a name, or a pattern that an entry declares.
type wanted struct {
	pattern string // as AWS writes it
	because string
	whole   bool // the event is of no action that is known: its service stays as it is
	// resources are where it is needed; nil: nobody says.
	resources []string
}

// names are the known actions of a pattern; a name that the table lacks stands for itself.
func (w *wanted) names() []string {
	if !strings.ContainsAny(w.pattern, "*?") {
		return []string{w.pattern}
	}
	return ref.Expand(w.pattern)
}

func declaredActions(e *registry.Entry) []wanted {
	var out []wanted
	for _, a := range e.Actions {
		out = append(out, wanted{pattern: a, because: "entry " + e.Name + " declares it", resources: e.Resources})
	}
	return out
}

// eventActions are the calls whose event has another name than the action that allows them.
// Source: Amazon S3 User Guide, "Required permissions for Amazon S3 API operations"; AWS Lambda Developer Guide, 2026-11-23, written down by hand.
var eventActions = map[string][]string{
	"s3:listbuckets": {"s3:ListAllMyBuckets"}, "s3:headbucket": {"s3:ListBucket"}, "s3:listobjects": {"s3:ListBucket"}, "s3:listobjectsv2": {"s3:ListBucket"},
	"s3:listobjectversions": {"s3:ListBucketVersions"}, "s3:headobject": {"s3:GetObject"}, "s3:selectobjectcontent": {"s3:GetObject"},
	"s3:copyobject": {"s3:GetObject", "s3:PutObject"}, "s3:createmultipartupload": {"s3:PutObject"}, "s3:uploadpart": {"s3:PutObject"},
	"s3:uploadpartcopy": {"s3:GetObject", "s3:PutObject"}, "s3:completemultipartupload": {"s3:PutObject"}, "s3:deleteobjects": {"s3:DeleteObject"},
	"s3:listmultipartuploads": {"s3:ListBucketMultipartUploads"}, "s3:listparts": {"s3:ListMultipartUploadParts"},
	"s3:getbucketencryption": {"s3:GetEncryptionConfiguration"}, "s3:putbucketencryption": {"s3:PutEncryptionConfiguration"},
	"s3:getbucketlifecycle": {"s3:GetLifecycleConfiguration"}, "s3:putbucketlifecycle": {"s3:PutLifecycleConfiguration"},
	"s3:getbucketreplication": {"s3:GetReplicationConfiguration"}, "s3:putbucketreplication": {"s3:PutReplicationConfiguration"},
	"lambda:invoke": {"lambda:InvokeFunction"}, "ses:sendemail": {"ses:SendEmail"},
}

// wantedOf are the actions that allow a recorded call, given as service:EventName.
func wantedOf(event, because string) []wanted {
	service, name, _ := strings.Cut(event, ":")
	if service == "lambda" { // GetFunction20150331v2: the version of the API is part of the event's name
		name = strings.TrimRight(name, "v0123456789_")
	}
	event = service + ":" + name
	if list, ok := eventActions[strings.ToLower(event)]; ok {
		var out []wanted
		for _, a := range list {
			out = append(out, wanted{pattern: a, because: because})
		}
		return out
	}
	if a, ok := ref.LookupAction(event); ok {
		return []wanted{{pattern: a.Name, because: because}}
	}
	return []wanted{{pattern: event, because: because, whole: true}}
}

// unobserved are the actions whose use no trail records unless data events are switched on, and those that are a permission only, so that no
// event ever has their name.
// Source: AWS CloudTrail User Guide, "Logging data events"; Service Authorization Reference, actions marked "permission only"; 2026-11-23,
// written down by hand.
var unobserved = []string{
	"iam:PassRole", "sts:TagSession", "sts:SetSourceIdentity", "sts:SetContext",
	"s3:GetObject*", "s3:PutObject*", "s3:DeleteObject*", "s3:RestoreObject", "s3:Replicate*", "s3:ObjectOwnerOverrideToBucketOwner", "s3:BypassGovernanceRetention",
	"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload",
	"lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "lambda:InvokeAsync",
	"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:GetRecords",
	"dynamodb:GetShardIterator", "dynamodb:PartiQL*", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem",
	"sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sns:Publish",
	"kinesis:PutRecord*", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:SubscribeToShard", "firehose:PutRecord*", "events:PutEvents", "logs:PutLogEvents",
	"cloudwatch:PutMetricData", "cloudwatch:GetMetricData", "cloudwatch:GetMetricStatistics", "cloudwatch:ListMetrics", "xray:Put*", "xray:Get*",
	"ssmmessages:*", "ec2messages:*", "execute-api:*", "es:ESHttp*", "aoss:APIAccessAll", "rds-db:connect", "rds-data:*", "elasticfilesystem:Client*",
	"kafka-cluster:*", "neptune-db:*", "cassandra:*", "timestream:*", "sagemaker:InvokeEndpoint*", "bedrock:InvokeAgent", "bedrock:Retrieve*",
	"appsync:GraphQL", "iot:Connect", "iot:Publish", "iot:Receive", "iot:Subscribe", "cognito-sync:*", "sdb:*", "mobileanalytics:*",
}

// dataTypes are the types of resources whose use no trail records unless data events are on.
func recordedAsData(resourceType string) bool {
	return slices.Contains([]string{"AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::Lambda::Function", "AWS::DynamoDB::Table"}, resourceType)
}

// narrowActions are the actions of a statement that are wanted. What a trail cannot show is kept with keepUnseen where the statement names
// its service, or where something of its service is wanted: dropping it would be a guess.
func narrowActions(element policy.Element, rule *policy.Rule, list []wanted, grain Grain, keepUnseen bool) policy.Element {
	out := policy.Element{Present: true, Pos: element.Pos}
	add := func(name string) {
		if !slices.ContainsFunc(out.Values, func(v policy.Text) bool { return strings.EqualFold(v.Value, name) }) {
			out.Values = append(out.Values, policy.Text{Value: name})
		}
	}
	services := map[string]bool{}
	for i := range list {
		w := &list[i]
		service, _, _ := strings.Cut(strings.ToLower(w.pattern), ":")
		met := meet(element, rule, w.pattern)
		if w.whole || grain == ServiceGrain && len(met) > 0 {
			met = meet(element, rule, service+":*")
		}
		for _, name := range met {
			services[service] = true
			add(name)
		}
	}
	if keepUnseen {
		for _, pattern := range unobserved {
			service, _, _ := strings.Cut(strings.ToLower(pattern), ":")
			named := !element.Not && slices.ContainsFunc(element.Values, func(v policy.Text) bool {
				return strings.HasPrefix(strings.ToLower(v.Value), service+":")
			})
			if named || services[service] || depends(list, pattern) {
				for _, name := range meet(element, rule, pattern) {
					add(name)
				}
			}
		}
	}
	out.Values = simplest(out.Values)
	return out
}

// depends reports whether some wanted action needs another beside it.
func depends(list []wanted, pattern string) bool {
	return slices.ContainsFunc(list, func(w wanted) bool {
		a, _ := ref.LookupAction(w.pattern)
		return slices.ContainsFunc(a.Dependent, func(d string) bool { return strings.EqualFold(d, pattern) })
	})
}

// meet are the patterns of what a statement and a wanted pattern have in common: the narrower of the two where one covers the other, else
// the known actions that both cover.
func meet(element policy.Element, rule *policy.Rule, pattern string) []string {
	lower := strings.ToLower(pattern)
	if !strings.ContainsAny(pattern, "*?") {
		if rule.Actions.Match(lower) {
			return []string{pattern}
		}
		return nil
	}
	var out []string
	if rule.Actions.Not {
		if !slices.ContainsFunc(rule.Actions.Globs, func(g arn.Glob) bool { return arn.GlobsIntersect(g.String(), lower) }) {
			return []string{pattern}
		}
	} else {
		for i := range rule.Actions.Globs {
			switch glob := rule.Actions.Globs[i].String(); {
			case arn.GlobCovers(glob, lower):
				return []string{pattern}
			case arn.GlobCovers(lower, glob):
				out = append(out, element.Values[i].Value)
			}
		}
	}
	for _, name := range ref.Expand(pattern) {
		if rule.Actions.Match(strings.ToLower(name)) {
			out = append(out, name)
		}
	}
	return simplest(texts(out)).values()
}

type textList []policy.Text

func (l textList) values() []string {
	var out []string
	for _, t := range l {
		out = append(out, t.Value)
	}
	return out
}

func texts(list []string) textList {
	var out textList
	for _, s := range list {
		out = append(out, policy.Text{Value: s})
	}
	return out
}

// simplest leaves out what another pattern of the list covers, and sorts.
func simplest(list textList) textList {
	var out textList
	for i, v := range list {
		covered := false
		for j, other := range list {
			a, b := strings.ToLower(other.Value), strings.ToLower(v.Value)
			if i != j && arn.GlobCovers(a, b) && (a != b || j < i) {
				covered = true
			}
		}
		if !covered {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b policy.Text) int { return strings.Compare(a.Value, b.Value) })
	return out
}

func elementKey(e policy.Element) string {
	d := policy.Document{Statements: []policy.Statement{{Effect: policy.Allow, Action: e}}}
	return d.Key()
}

func elementWords(e policy.Element) string {
	list := values(e.Values)
	words := strings.Join(list, ", ")
	if len(list) > 6 {
		words = strings.Join(list[:6], ", ") + " and more"
	}
	if e.Not {
		return "all but " + words
	}
	return words
}

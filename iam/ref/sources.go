package ref

import "strings"

// SourceKeysFrom is the source of SendsSourceKeys.
var SourceKeysFrom = Dated{"services that send source keys", "2026-11-23", "written down by hand; to be checked against the confused-deputy page of each service"}

// sendsSourceKeys are services that send aws:SourceAccount and aws:SourceArn when they act for a resource of a customer, by the
// first label of their host.
var sendsSourceKeys = map[string]bool{
	"access-analyzer": true, "appflow": true, "appsync": true, "backup": true, "batch": true, "bedrock": true, "budgets": true,
	"chatbot": true, "cloudformation": true, "cloudtrail": true, "codebuild": true, "codecommit": true, "codedeploy": true,
	"codepipeline": true, "cognito-idp": true, "config": true, "datasync": true, "delivery.logs": true, "dms": true, "ecs": true, "ecs-tasks": true,
	"events": true, "export.rds": true, "firehose": true, "fis": true, "glue": true, "guardduty": true, "imagebuilder": true,
	"iot": true, "kinesisanalytics": true, "lambda": true, "lex": true, "lexv2": true, "logging.s3": true, "logs": true, "macie": true, "pipes": true,
	"quicksight": true, "rds": true, "rolesanywhere": true, "s3": true, "sagemaker": true, "scheduler": true, "ses": true, "sns": true, "ssm": true,
	"states": true, "storagegateway": true, "transfer": true, "vpc-flow-logs": true, "workspaces": true,
}

// sendsNone are services that are known to send no source keys: a condition on them would lock the service out.
var sendsNone = map[string]bool{"ec2": true, "pods.eks": true, "eks": true, "spotfleet": true, "elasticmapreduce": true, "ec2fleet": true}

// SourceKeys says whether a service principal is known to send aws:SourceAccount and its kin, known not to, or neither.
func SourceKeys(host string) (sends, known bool) {
	name := strings.ToLower(host)
	for _, suffix := range [...]string{".amazonaws.com.cn", ".amazonaws.com"} {
		name = strings.TrimSuffix(name, suffix)
	}
	for label := name; ; {
		if sendsSourceKeys[label] {
			return true, true
		}
		if sendsNone[label] {
			return false, true
		}
		i := strings.LastIndexByte(label, '.') // a regional host ends in its region
		if i < 0 {
			return false, false
		}
		label = label[:i]
	}
}

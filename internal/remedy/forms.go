package remedy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
)

// JSON is what is proposed: the document, where one changes, else a list of what each change sets.
func (p *Proposal) JSON() []byte { return documents(p.Changes, false) }

// Restore is what was there, to go back to, in the form of JSON.
func (p *Proposal) Restore() []byte { return documents(p.Changes, true) }

// setting is one change among several: what it is about, and what is set. A document that is null is removed.
type setting struct {
	Kind     Kind             `json:"kind"`
	Target   string           `json:"target"`
	Name     string           `json:"name,omitempty"`
	Policy   *policy.Document `json:"policy,omitempty"`
	Removed  bool             `json:"removed,omitempty"`
	Duration int              `json:"maxSessionDuration,omitempty"` // seconds
}

func documents(changes []Change, before bool) []byte {
	var list []setting
	for i := range changes {
		c := &changes[i]
		s := setting{Kind: c.Kind, Target: c.Target, Name: c.Name, Policy: c.After, Duration: int(c.SessionAfter.Seconds())}
		if before {
			s.Policy, s.Duration = c.Before, int(c.SessionBefore.Seconds())
		}
		s.Removed = s.Policy == nil && c.Kind != SessionDuration
		list = append(list, s)
	}
	if len(list) == 1 && list[0].Policy != nil {
		return indented(list[0].Policy)
	}
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(list); err != nil {
		return nil // texts and numbers always encode
	}
	return []byte(out.String())
}

// CLI is a shell script of the AWS CLI commands that make the changes, with those that take them back.
func (p *Proposal) CLI() string {
	b := &script{}
	for i := range p.Changes {
		c := &p.Changes[i]
		b.in(c.Account)
		for _, line := range c.commands() {
			b.command(line, indented(c.After))
		}
	}
	b.WriteString("# To go back:\n")
	for i := len(p.Changes) - 1; i >= 0; i-- {
		for _, line := range p.Changes[i].reversed() {
			b.WriteString("# " + line + "\n")
		}
	}
	return b.String()
}

// file is the name under which people save a document of the change.
func (c *Change) file(when string) string {
	name := roleName(c.Target)
	if c.Kind == ResourceDoc {
		name = slugOf(c.Target)
	}
	if c.Name != "" {
		name += "-" + slugOf(roleName(c.Name))
	}
	return name + "-" + when + ".json"
}

func (c *Change) commands() []string {
	name := roleName(c.Target)
	put := func(policyName string) string {
		return fmt.Sprintf("aws iam put-role-policy --role-name %s --policy-name %s --policy-document file://%s", name, policyName, c.file("after"))
	}
	switch c.Kind {
	case TrustPolicy:
		return []string{fmt.Sprintf("aws iam get-role --role-name %s --query Role.AssumeRolePolicyDocument > %s", name, c.file("before")),
			fmt.Sprintf("aws iam update-assume-role-policy --role-name %s --policy-document file://%s", name, c.file("after"))}
	case ResourceDoc:
		return setPolicies(c, c.Before, c.After, c.file("after"))
	case InlinePolicy:
		if c.After == nil {
			return []string{fmt.Sprintf("aws iam delete-role-policy --role-name %s --policy-name %s", name, c.Name)}
		}
		return []string{put(c.Name)}
	case AttachedPolicy:
		return []string{fmt.Sprintf("aws iam detach-role-policy --role-name %s --policy-arn %s", name, c.Name)}
	case BoundaryPolicy:
		return []string{fmt.Sprintf("aws iam create-policy --policy-name %s --policy-document file://%s", roleName(c.Name), c.file("after")),
			fmt.Sprintf("aws iam put-role-permissions-boundary --role-name %s --permissions-boundary %s", name, c.Name)}
	case SessionDuration:
		return []string{fmt.Sprintf("aws iam update-role --role-name %s --max-session-duration %d", name, int(c.SessionAfter.Seconds()))}
	case RCP, SCP:
		return []string{fmt.Sprintf("aws organizations create-policy --type %s --name %s --description 'Data perimeter' --content file://%s", c.policyType(), c.Name, c.file("after")),
			fmt.Sprintf("aws organizations attach-policy --policy-id POLICY_ID --target-id %s   # first to a test OU, then to the root", c.Target)}
	}
	return c.Commands
}

func (c *Change) reversed() []string {
	name := roleName(c.Target)
	switch c.Kind {
	case TrustPolicy:
		return []string{fmt.Sprintf("aws iam update-assume-role-policy --role-name %s --policy-document file://%s", name, c.file("before"))}
	case ResourceDoc:
		return setPolicies(c, c.After, c.Before, c.file("before"))
	case InlinePolicy:
		if c.Before == nil {
			return []string{fmt.Sprintf("aws iam delete-role-policy --role-name %s --policy-name %s", name, c.Name)}
		}
		return []string{fmt.Sprintf("aws iam put-role-policy --role-name %s --policy-name %s --policy-document file://%s", name, c.Name, c.file("before"))}
	case AttachedPolicy:
		return []string{fmt.Sprintf("aws iam attach-role-policy --role-name %s --policy-arn %s", name, c.Name)}
	case BoundaryPolicy:
		return []string{fmt.Sprintf("aws iam delete-role-permissions-boundary --role-name %s", name)}
	case SessionDuration:
		return []string{fmt.Sprintf("aws iam update-role --role-name %s --max-session-duration %d", name, int(c.SessionBefore.Seconds()))}
	case RCP, SCP:
		return []string{fmt.Sprintf("aws organizations detach-policy --policy-id POLICY_ID --target-id %s", c.Target)}
	}
	return []string{"what the commands took away must be granted again: it is in the snapshot"}
}

func (c *Change) policyType() string {
	if c.Kind == RCP {
		return "RESOURCE_CONTROL_POLICY"
	}
	return "SERVICE_CONTROL_POLICY"
}

// setPolicies are the commands that bring a resource's policy from one document to another.
func setPolicies(c *Change, from, to *policy.Document, file string) []string {
	if c.Type == "AWS::Lambda::Function" {
		return lambdaPermissions(c.Target, from, to)
	}
	return []string{setPolicy(&access.Target{ARN: c.Target, Type: c.Type}, file, to == nil)}
}

// lambdaPermissions: a function's policy is set statement by statement.
func lambdaPermissions(function string, from, to *policy.Document) []string {
	keyed := func(d *policy.Document) map[string]policy.Statement {
		out := map[string]policy.Statement{}
		for _, s := range orEmpty(d).Statements {
			one := policy.Document{Statements: []policy.Statement{s}}
			out[one.Key()] = s
		}
		return out
	}
	old, now := keyed(from), keyed(to)
	var out []string
	for key, s := range old {
		if _, stays := now[key]; !stays {
			out = append(out, fmt.Sprintf("aws lambda remove-permission --function-name %s --statement-id %s", function, s.Sid.Value))
		}
	}
	slices.Sort(out)
	var added []string
	for key, s := range now {
		if _, was := old[key]; !was {
			added = append(added, lambdaPermission(function, &s)...)
		}
	}
	slices.Sort(added)
	return append(out, added...)
}

func lambdaPermission(function string, s *policy.Statement) []string {
	options := ""
	for _, c := range s.Condition {
		flag, ok := map[string]string{"aws:sourceaccount": "--source-account", "aws:sourcearn": "--source-arn", "aws:principalorgid": "--principal-org-id",
			"lambda:eventsourcetoken": "--event-source-token", "lambda:functionurlauthtype": "--function-url-auth-type"}[strings.ToLower(c.Key.Value)]
		if !ok || len(c.Values) != 1 {
			return []string{"# " + function + ": lambda add-permission cannot say the condition " + c.Key.Value + " of statement " + s.Sid.Value}
		}
		options += " " + flag + " " + c.Values[0].Value
	}
	var out []string
	for i, v := range s.Principal.Values {
		for j, a := range s.Action.Values {
			sid := s.Sid.Value
			if i+j > 0 {
				sid = fmt.Sprintf("%s%d%d", sid, i, j)
			}
			out = append(out, fmt.Sprintf("aws lambda add-permission --function-name %s --statement-id %s --action %s --principal %s%s", function, sid, a.Value, v.Value, options))
		}
	}
	return out
}

// written is how infrastructure as code writes the policy of a type of resource: with a resource of its own, or as a property of the resource.
type written struct {
	terraform string // resource type of the policy
	by        string // its argument that names the resource
	argument  string // its argument that holds the policy
	template  string // CloudFormation type of the policy; "": Property is one of the resource itself
	of        string // property that names the resource
	list      bool   // it is a list
	property  string // property that holds the policy
	name      func(a arn.ARN) string
}

func whole(a arn.ARN) string { return a.String() }

var writtenAs = map[string]written{
	"AWS::S3::Bucket":             {"aws_s3_bucket_policy", "bucket", "policy", "AWS::S3::BucketPolicy", "Bucket", false, "PolicyDocument", func(a arn.ARN) string { return a.Resource }},
	"AWS::SQS::Queue":             {"aws_sqs_queue_policy", "queue_url", "policy", "AWS::SQS::QueuePolicy", "Queues", true, "PolicyDocument", queueURL},
	"AWS::SNS::Topic":             {"aws_sns_topic_policy", "arn", "policy", "AWS::SNS::TopicPolicy", "Topics", true, "PolicyDocument", whole},
	"AWS::SecretsManager::Secret": {"aws_secretsmanager_secret_policy", "secret_arn", "policy", "AWS::SecretsManager::ResourcePolicy", "SecretId", false, "ResourcePolicy", whole},
	"AWS::KMS::Key":               {"aws_kms_key_policy", "key_id", "policy", "", "", false, "KeyPolicy", whole},
	"AWS::ECR::Repository":        {"aws_ecr_repository_policy", "repository", "policy", "", "", false, "RepositoryPolicyText", func(a arn.ARN) string { return strings.TrimPrefix(a.Resource, "repository/") }},
	"AWS::DynamoDB::Table":        {"aws_dynamodb_resource_policy", "resource_arn", "policy", "", "", false, "ResourcePolicy", whole},
}

// queueURL is the address of a queue. Source: SQS Developer Guide, "Queue and message identifiers".
func queueURL(a arn.ARN) string {
	domain := "amazonaws.com"
	if a.Partition == "aws-cn" {
		domain += ".cn"
	}
	return fmt.Sprintf("https://sqs.%s.%s/%s/%s", a.Region, domain, a.Account, a.Resource)
}

// Terraform are arguments and resources for the AWS provider.
func (p *Proposal) Terraform() string {
	var b strings.Builder
	for i := range p.Changes {
		if i > 0 {
			b.WriteString("\n")
		}
		p.Changes[i].terraform(&b)
	}
	return b.String()
}

func (c *Change) terraform(b *strings.Builder) {
	name := strings.ToLower(strings.ReplaceAll(slugOf(roleName(c.Target)+"-"+roleName(c.Name)), "-", "_"))
	resource := func(kind string, arguments ...string) {
		fmt.Fprintf(b, "resource %q %q {\n", kind, name)
		for _, a := range arguments {
			b.WriteString(indentedBy(a, "  "))
		}
		b.WriteString("}\n")
	}
	switch c.Kind {
	case TrustPolicy:
		fmt.Fprintf(b, "# In the resource \"aws_iam_role\" of %s:\n%s", c.Target, heredoc("assume_role_policy", c.After))
	case SessionDuration:
		fmt.Fprintf(b, "# In the resource \"aws_iam_role\" of %s:\nmax_session_duration = %d\n", c.Target, int(c.SessionAfter.Seconds()))
	case InlinePolicy:
		if c.After == nil {
			fmt.Fprintf(b, "# Remove the resource \"aws_iam_role_policy\" %s of %s.\n", c.Name, c.Target)
			return
		}
		resource("aws_iam_role_policy", "name = "+quoted(c.Name), "role = "+quoted(roleName(c.Target)), heredoc("policy", c.After))
	case AttachedPolicy:
		fmt.Fprintf(b, "# Remove the resource \"aws_iam_role_policy_attachment\" of %s for %s.\n", c.Target, c.Name)
	case BoundaryPolicy:
		resource("aws_iam_policy", "name = "+quoted(roleName(c.Name)), heredoc("policy", c.After))
		fmt.Fprintf(b, "\n# In the resource \"aws_iam_role\" of %s:\npermissions_boundary = aws_iam_policy.%s.arn\n", c.Target, name)
	case RCP, SCP:
		resource("aws_organizations_policy", "name = "+quoted(c.Name), "type = "+quoted(c.policyType()), heredoc("content", c.After))
		b.WriteString("\n")
		resource("aws_organizations_policy_attachment", "policy_id = aws_organizations_policy."+name+".id", "target_id = "+quoted(c.Target))
	case ResourceDoc:
		w, ok := writtenAs[c.Type]
		a, err := arn.Parse(c.Target)
		switch {
		case !ok || err != nil:
			fmt.Fprintf(b, "# How Terraform writes the policy of %s (%s) is not known: see --form policy.\n", c.Target, c.Type)
		case c.After == nil:
			fmt.Fprintf(b, "# Remove the resource %q of %s.\n", w.terraform, c.Target)
		default:
			resource(w.terraform, w.by+" = "+quoted(w.name(a)), heredoc(w.argument, c.After))
		}
	default:
		fmt.Fprintf(b, "# Take back the %s of %s: %s\n", c.Kind, c.Target, strings.Join(c.Commands, "; "))
	}
}

// heredoc is an argument that holds a document. The end of a <<- text may be indented.
func heredoc(argument string, d *policy.Document) string {
	return argument + " = <<-JSON\n" + indentedBy(string(escapeHCL(indented(d))), "  ") + "JSON\n"
}

func quoted(s string) string { return string(escapeHCL([]byte(fmt.Sprintf("%q", s)))) }

// escapeHCL keeps policy variables from being taken for Terraform's own.
func escapeHCL(text []byte) []byte {
	return []byte(strings.NewReplacer("${", "$${", "%{", "%%{").Replace(string(text)))
}

// CloudFormation is a part of a template: resources, and properties for resources that are there. Documents are JSON, which is YAML too;
// policy variables stay as they are, for only Fn::Sub would take them for its own.
func (p *Proposal) CloudFormation() string {
	var b, resources strings.Builder
	for i := range p.Changes {
		p.Changes[i].template(&b, &resources)
	}
	if resources.Len() > 0 {
		b.WriteString("Resources:\n" + resources.String())
	}
	return b.String()
}

// template writes properties to the one and resources to the other.
func (c *Change) template(properties, resources *strings.Builder) {
	property := func(resource, name string) {
		fmt.Fprintf(properties, "# In the resource of type %s of %s:\n%s:\n%s", resource, c.Target, name, indentedBy(string(indented(c.After)), "  "))
	}
	resource := func(kind, document string, lines ...string) {
		fmt.Fprintf(resources, "  %s:\n    Type: %s\n    Properties:\n", logical(roleName(c.Target)+"-"+roleName(c.Name)+"-policy"), kind)
		for _, l := range lines {
			resources.WriteString("      " + l + "\n")
		}
		resources.WriteString("      " + document + ":\n" + indentedBy(string(indented(c.After)), "        "))
	}
	switch c.Kind {
	case TrustPolicy:
		property("AWS::IAM::Role", "AssumeRolePolicyDocument")
	case SessionDuration:
		fmt.Fprintf(properties, "# In the resource of type AWS::IAM::Role of %s:\nMaxSessionDuration: %d\n", c.Target, int(c.SessionAfter.Seconds()))
	case InlinePolicy:
		if c.After == nil {
			fmt.Fprintf(properties, "# Remove the policy %s of %s.\n", c.Name, c.Target)
			return
		}
		resource("AWS::IAM::RolePolicy", "PolicyDocument", fmt.Sprintf("PolicyName: %q", c.Name), fmt.Sprintf("RoleName: %q", roleName(c.Target)))
	case AttachedPolicy:
		fmt.Fprintf(properties, "# Remove %s from the ManagedPolicyArns of %s.\n", c.Name, c.Target)
	case BoundaryPolicy:
		resource("AWS::IAM::ManagedPolicy", "PolicyDocument", fmt.Sprintf("ManagedPolicyName: %q", roleName(c.Name)))
		fmt.Fprintf(properties, "# In the resource of type AWS::IAM::Role of %s:\nPermissionsBoundary: %q\n", c.Target, c.Name)
	case RCP, SCP:
		resource("AWS::Organizations::Policy", "Content", fmt.Sprintf("Name: %q", c.Name), "Type: "+c.policyType(), fmt.Sprintf("TargetIds: [%q]", c.Target))
	case ResourceDoc:
		w, ok := writtenAs[c.Type]
		a, err := arn.Parse(c.Target)
		switch {
		case !ok || err != nil:
			fmt.Fprintf(properties, "# How CloudFormation writes the policy of %s (%s) is not known: see --form policy.\n", c.Target, c.Type)
		case c.After == nil:
			fmt.Fprintf(properties, "# Remove the policy of %s.\n", c.Target)
		case w.template == "" && c.Type == "AWS::DynamoDB::Table":
			fmt.Fprintf(properties, "# In the resource of type %s of %s:\nResourcePolicy:\n  PolicyDocument:\n%s", c.Type, c.Target, indentedBy(string(indented(c.After)), "    "))
		case w.template == "":
			property(c.Type, w.property)
		case w.list:
			resource(w.template, w.property, fmt.Sprintf("%s: [%q]", w.of, w.name(a)))
		default:
			resource(w.template, w.property, fmt.Sprintf("%s: %q", w.of, w.name(a)))
		}
	default:
		fmt.Fprintf(properties, "# Take back the %s of %s: %s\n", c.Kind, c.Target, strings.Join(c.Commands, "; "))
	}
}

// logical is a name of a resource in a template: letters and digits only.
func logical(name string) string {
	var b strings.Builder
	upper := true
	for _, r := range name {
		switch {
		case r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r):
			upper = true
			continue
		case upper:
			r, upper = unicode.ToUpper(r), false
		}
		b.WriteRune(r)
	}
	return b.String()
}

func indentedBy(text, by string) string {
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		b.WriteString(by + line + "\n")
	}
	return b.String()
}

func roleName(role string) string { return role[strings.LastIndexByte(role, '/')+1:] }

// Title names what a change is about.
func (c *Change) Title() string {
	switch c.Kind {
	case InlinePolicy:
		return fmt.Sprintf("Inline policy %s of %s", c.Name, c.Target)
	case AttachedPolicy:
		return fmt.Sprintf("Attached policy %s of %s", c.Name, c.Target)
	case BoundaryPolicy:
		return fmt.Sprintf("Permissions boundary %s of %s", c.Name, c.Target)
	case RCP, SCP:
		return fmt.Sprintf("%s %s at %s", upperFirst(string(c.Kind)), c.Name, c.Target)
	}
	return upperFirst(string(c.Kind)) + " of " + c.Target
}

func upperFirst(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Lines is the change line by line, for people: each begins with "- " where it goes, "+ " where it comes, and two spaces where it stays.
func (c *Change) Lines() []string {
	switch {
	case c.Kind == SessionDuration:
		return []string{fmt.Sprintf("- MaxSessionDuration %d", int(c.SessionBefore.Seconds())), fmt.Sprintf("+ MaxSessionDuration %d", int(c.SessionAfter.Seconds()))}
	case c.Kind == AttachedPolicy:
		return []string{"- attached"}
	case c.Before == nil && c.After == nil:
		return []string{"- " + c.Name}
	}
	return diff(lines(c.Before), lines(c.After))
}

// Diff is a unified diff of all documents, with the reasons in front of it.
func (p *Proposal) Diff() string {
	var b strings.Builder
	for _, r := range p.Reasons {
		b.WriteString("# " + r + "\n")
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		before, after := lines(c.Before), lines(c.After)
		if c.Kind == SessionDuration || c.Before == nil && c.After == nil {
			before, after = nil, nil
		}
		body := c.Lines()
		if c.Kind == AttachedPolicy {
			before, after = nil, nil
		}
		if before == nil && after == nil { // no document: one line goes or comes
			for _, l := range body {
				if l[0] == '-' {
					before = append(before, l)
				} else {
					after = append(after, l)
				}
			}
		}
		from, to := "a/"+c.file("policy"), "b/"+c.file("policy")
		if c.Before == nil && len(before) == 0 {
			from = "/dev/null"
		}
		if c.After == nil && len(after) == 0 {
			to = "/dev/null"
		}
		fmt.Fprintf(&b, "# %s\n--- %s\n+++ %s\n@@ -%s +%s @@\n", c.Title(), from, to, hunk(len(before)), hunk(len(after)))
		for _, l := range body {
			b.WriteString(l[:1] + l[2:] + "\n")
		}
	}
	return b.String()
}

func hunk(n int) string {
	if n == 0 {
		return "0,0"
	}
	return fmt.Sprintf("1,%d", n)
}

func lines(d *policy.Document) []string {
	if d == nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(indented(d)), "\n"), "\n")
}

// diff is the longest common part of two texts with what is beside it; documents are short.
func diff(a, b []string) []string {
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var out []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, "  "+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			out = append(out, "- "+a[i])
			i++
		default:
			out = append(out, "+ "+b[j])
			j++
		}
	}
	return out
}

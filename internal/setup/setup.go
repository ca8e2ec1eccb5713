// Package setup says what a target account must have so that a broker lets an entry of the registry cross into it: the broker as an identity provider, the role with its trust, and the role by which access is taken back. It gives
// the same in Terraform, CloudFormation and commands, and checks a snapshot for it afterwards.
package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
)

// RevokerRole is the role in each target account by which the broker cuts sessions, and RevokerSubject what its tokens call themselves there. No entry can have that name.
const (
	RevokerRole    = "DrawbridgeRevoker"
	RevokerSubject = "drawbridge:revoker"
)

// Revoker is the ARN of the revoker in a target role's account.
func Revoker(target arn.ARN) string {
	return "arn:" + target.Partition + ":iam::" + target.Account + ":role/" + RevokerRole
}

// Target is what is to be set up.
type Target struct {
	Entry *registry.Entry
	// Issuer is the broker's own issuer, and Audience what its tokens are made for.
	Issuer, Audience string
	// Assume is how the role is taken where it is not by a token of the issuer; nil: it is.
	Assume *Assume
}

// Assume is how a role is taken by AssumeRole: by the broker's own role, which says an ExternalId that the trust demands. Sessions last an hour at most, because they are a chain.
type Assume struct {
	// Role is the broker's own.
	Role string
	// ExternalIDs are those that the trust of the target role takes: one, or two while it is being changed. RevokerIDs are those of the revoker.
	ExternalIDs, RevokerIDs []string
}

// ErrTarget says that an entry leads to nothing that a broker can let cross into.
var ErrTarget = errors.New("this entry cannot be set up")

// externalID is the form of one (API reference of STS, AssumeRole).
var externalID = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)

const maxExternalID = 1224

// NewAssumed checks that a target can be set up whose role is taken by AssumeRole.
func NewAssumed(e *registry.Entry, by Assume) (*Target, error) {
	t, err := New(e, "https://none.invalid", "none")
	if err != nil {
		return nil, err
	}
	t.Issuer, t.Audience, t.Assume = "", "", &by
	if a, err := arn.Parse(by.Role); err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") {
		return nil, fmt.Errorf("%w: %q is no role that the broker could have", ErrTarget, by.Role)
	}
	if len(by.ExternalIDs) == 0 || len(by.RevokerIDs) == 0 {
		return nil, fmt.Errorf("%w: the ExternalIds are missing, without which whoever leads the broker astray gets in", ErrTarget)
	}
	for _, id := range slices.Concat(by.ExternalIDs, by.RevokerIDs) {
		if !externalID.MatchString(id) || len(id) > maxExternalID {
			return nil, fmt.Errorf("%w: %q is no ExternalId", ErrTarget, id)
		}
	}
	return t, nil
}

// New checks that a target can be set up.
func New(e *registry.Entry, issuer, audience string) (*Target, error) {
	t := &Target{Entry: e, Issuer: issuer, Audience: audience}
	a, err := arn.Parse(e.To.Role)
	switch {
	case e.To.Role == "":
		return nil, fmt.Errorf("%w: %s leads to no role", ErrTarget, e.Name)
	case err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/"):
		return nil, fmt.Errorf("%w: %s leads to %s, which is no role", ErrTarget, e.Name, e.To.Role)
	case len(e.Actions) == 0 || len(e.Resources) == 0:
		return nil, fmt.Errorf("%w: %s does not say what may be done: allow.actions and allow.resources", ErrTarget, e.Name)
	case !strings.HasPrefix(issuer, "https://") || strings.HasSuffix(issuer, "/") || len(issuer) == len("https://"):
		return nil, fmt.Errorf("%w: the broker's address must be like https://broker.example, and is %q", ErrTarget, issuer)
	case audience == "":
		return nil, fmt.Errorf("%w: the audience of the broker's tokens is missing", ErrTarget)
	}
	return t, nil
}

func (t *Target) role() arn.ARN {
	a, err := arn.Parse(t.Entry.To.Role)
	if err != nil {
		panic("New has parsed it: " + err.Error())
	}
	return a
}

// host is the issuer as IAM names it.
func (t *Target) host() string { return strings.TrimPrefix(t.Issuer, "https://") }

// Provider is the ARN of the broker as an identity provider in the target's account.
func (t *Target) Provider() string {
	a := t.role()
	return "arn:" + a.Partition + ":iam::" + a.Account + ":oidc-provider/" + t.host()
}

// pathAndName splits a role's name from its path: /ci/ and deploy.
func (t *Target) pathAndName() (path, name string) {
	resource := strings.TrimPrefix(t.role().Resource, "role")
	i := strings.LastIndexByte(resource, '/')
	return resource[:i+1], resource[i+1:]
}

// Documents are written in the order of their fields.
type document struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string                         `json:",omitempty"`
	Effect    string                         //
	Principal map[string]string              `json:",omitempty"`
	Action    []string                       //
	Resource  []string                       `json:",omitempty"`
	Condition map[string]map[string][]string `json:",omitempty"`
}

func text(d document, prefix string) string {
	b, err := json.MarshalIndent(d, prefix, "  ")
	if err != nil {
		panic("a policy has only fields that JSON can hold: " + err.Error())
	}
	return string(b)
}

// trust lets in the broker's tokens with one subject. The three actions belong together: a session always carries tags and its source identity.
func (t *Target) trust(subject string, actions ...string) document {
	return document{"2012-10-17", []statement{{Sid: "DrawbridgeBroker", Effect: "Allow", Principal: map[string]string{"Federated": t.Provider()}, Action: actions,
		Condition: map[string]map[string][]string{"StringEquals": {t.host() + ":aud": {t.Audience}, t.host() + ":sub": {subject}}}}}}
}

// assumedBy lets in the broker's own role, which says one of these ExternalIds. The three actions belong together here too; that of the tags and of the source identity does not carry the ExternalId.
func (t *Target) assumedBy(ids []string, more ...string) document {
	who := map[string]string{"AWS": t.Assume.Role}
	return document{"2012-10-17", []statement{
		{Sid: "DrawbridgeBroker", Effect: "Allow", Principal: who, Action: []string{"sts:AssumeRole"}, Condition: map[string]map[string][]string{"StringEquals": {"sts:ExternalId": ids}}},
		{Sid: "DrawbridgeBrokerSays", Effect: "Allow", Principal: who, Action: more},
	}}
}

// Trust is the trust policy of the target role.
func (t *Target) Trust() document {
	if t.Assume != nil {
		return t.assumedBy(t.Assume.ExternalIDs, "sts:SetSourceIdentity", "sts:TagSession")
	}
	return t.trust(t.Entry.Name, "sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity", "sts:TagSession")
}

// Permissions are what the role may do at most; each session is narrowed to what was approved.
func (t *Target) Permissions() document {
	actions, resources := slices.Clone(t.Entry.Actions), slices.Clone(t.Entry.Resources)
	slices.Sort(actions)
	slices.Sort(resources)
	return document{"2012-10-17", []statement{{Sid: "Entry", Effect: "Allow", Action: actions, Resource: resources}}}
}

// OlderSessions is the name of the policy by which the broker cuts all older sessions of a role that has no room for one more deny, and Room is its text as long as it cuts nothing: it keeps the room for that.
const OlderSessions = "drawbridge-deny-older-sessions"

// Room is the policy that OlderSessions names, with a moment before every session.
func (t *Target) Room() document {
	return document{"2012-10-17", []statement{{Sid: "DrawbridgeRevoked", Effect: "Deny", Action: []string{"*"}, Resource: []string{"*"}, Condition: map[string]map[string][]string{"DateLessThan": {"aws:TokenIssueTime": {"2000-01-01T00:00:00Z"}}}}}}
}

// RevokerTrust and RevokerPermissions are those of the role by which access is taken back. IAM has no condition on the name of an inline policy, so that this role could write any inline policy of the target role: the boundary of the
// entry is what bounds that.
func (t *Target) RevokerTrust() document {
	if t.Assume != nil {
		d := t.assumedBy(t.Assume.RevokerIDs)
		d.Statement = d.Statement[:1]
		return d
	}
	return t.trust(RevokerSubject, "sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity")
}

// RevokerPermissions let it put, read and remove inline policies of the target role.
func (t *Target) RevokerPermissions() document {
	return document{"2012-10-17", []statement{{Sid: "DenyOnTargetRole", Effect: "Allow", Action: []string{"iam:DeleteRolePolicy", "iam:GetRolePolicy", "iam:ListRolePolicies", "iam:PutRolePolicy"}, Resource: []string{t.Entry.To.Role}}}}
}

// maxSession is the role's longest session in seconds: what the entry allows, within what IAM takes for a role.
func (t *Target) maxSession() int {
	if t.Assume != nil {
		return 3600 // a chain of roles
	}
	return int(min(max(t.Entry.Session.Max, time.Hour), 12*time.Hour).Seconds())
}

// name is the entry's name in letters, digits and a separator, as code names things.
func (t *Target) name(separator string) string {
	var b strings.Builder
	for _, r := range t.Entry.Name {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z':
			b.WriteRune(r)
		default:
			b.WriteString(separator)
		}
	}
	return b.String()
}

// Terraform is the setup as resources of the AWS provider. The identity provider and the revoker are once in an account: variables leave out what is there.
func (t *Target) Terraform() string {
	path, name := t.pathAndName()
	id := strings.ToLower(t.name("_"))
	if id[0] >= '0' && id[0] <= '9' {
		id = "entry_" + id
	}
	heredoc := func(d document) string {
		return "<<-JSON\n    " + escapeHCL(text(d, "    ")) + "\n  JSON\n"
	}
	var b strings.Builder
	depends := "  depends_on = [aws_iam_openid_connect_provider.drawbridge]\n"
	fmt.Fprintf(&b, "# Entry %s: %s. Account %s.\n", t.Entry.Name, t.Entry.Purpose, t.role().Account)
	if t.Assume != nil {
		depends = ""
	} else {
		fmt.Fprintf(&b, "# Once in an account, whatever the number of entries:\nresource \"aws_iam_openid_connect_provider\" \"drawbridge\" {\n  url            = %s\n  client_id_list = [%s]\n}\n\n", hcl(t.Issuer), hcl(t.Audience))
	}
	fmt.Fprintf(&b, "resource \"aws_iam_role\" %q {\n  name                 = %s\n  path                 = %s\n  max_session_duration = %d\n", id, hcl(name), hcl(path), t.maxSession())
	if t.Entry.Boundary != "" {
		fmt.Fprintf(&b, "  permissions_boundary = %s\n", hcl(t.Entry.Boundary))
	}
	fmt.Fprintf(&b, "  assume_role_policy   = %s\n  # The broker puts its denies as inline policies; they are not Terraform's.\n%s}\n\n", heredoc(t.Trust()), depends)
	fmt.Fprintf(&b, "resource \"aws_iam_role_policy\" %q {\n  name   = \"entry\"\n  role   = aws_iam_role.%s.name\n  policy = %s}\n\n", id, id, heredoc(t.Permissions()))
	fmt.Fprintf(&b, "# It cuts nothing, and keeps room for the day on which the role has none for one more deny; the broker writes it then.\nresource \"aws_iam_role_policy\" \"%s_room\" {\n  name   = %q\n  role   = aws_iam_role.%s.name\n  policy = %s  lifecycle {\n    ignore_changes = [policy]\n  }\n}\n\n", id, OlderSessions, id, heredoc(t.Room()))
	fmt.Fprintf(&b, "# By which the broker takes access back. Once in an account; add a policy for each entry.\nresource \"aws_iam_role\" \"drawbridge_revoker\" {\n  name               = %q\n  assume_role_policy = %s%s}\n\n", RevokerRole, heredoc(t.RevokerTrust()), strings.Replace(depends, "depends_on =", "depends_on         =", 1))
	fmt.Fprintf(&b, "resource \"aws_iam_role_policy\" \"drawbridge_revoker_%s\" {\n  name   = %s\n  role   = aws_iam_role.drawbridge_revoker.name\n  policy = %s}\n", id, hcl(t.Entry.Name), heredoc(t.RevokerPermissions()))
	return b.String()
}

func hcl(s string) string { return escapeHCL(fmt.Sprintf("%q", s)) }

// escapeHCL keeps policy variables from being taken for Terraform's own.
func escapeHCL(s string) string { return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(s) }

// CloudFormation is the setup as a template, as JSON.
func (t *Target) CloudFormation() string {
	path, name := t.pathAndName()
	id := "Entry" + t.name("")
	type object = map[string]any
	role := object{"RoleName": name, "Path": path, "MaxSessionDuration": t.maxSession(), "AssumeRolePolicyDocument": t.Trust(), "Policies": []object{{"PolicyName": "entry", "PolicyDocument": t.Permissions()}, {"PolicyName": OlderSessions, "PolicyDocument": t.Room()}}}
	if t.Entry.Boundary != "" {
		role["PermissionsBoundary"] = t.Entry.Boundary
	}
	resources := object{
		"DrawbridgeProvider": object{"Type": "AWS::IAM::OIDCProvider", "Condition": "First", "Properties": object{"Url": t.Issuer, "ClientIdList": []string{t.Audience}}},
		id:                   object{"Type": "AWS::IAM::Role", "Properties": role},
		"DrawbridgeRevoker":  object{"Type": "AWS::IAM::Role", "Condition": "First", "Properties": object{"RoleName": RevokerRole, "AssumeRolePolicyDocument": t.RevokerTrust()}},
		id + "Revoker":       object{"Type": "AWS::IAM::RolePolicy", "Properties": object{"PolicyName": t.Entry.Name, "RoleName": RevokerRole, "PolicyDocument": t.RevokerPermissions()}},
	}
	if t.Assume != nil {
		delete(resources, "DrawbridgeProvider")
	}
	b, err := json.MarshalIndent(object{
		"AWSTemplateFormatVersion": "2010-09-09",
		"Description":              "Drawbridge: entry " + t.Entry.Name + " in account " + t.role().Account,
		"Parameters": object{
			"AccountIsSetUp": object{"Type": "String", "AllowedValues": []string{"yes", "no"}, "Default": "no", "Description": "yes where the broker's identity provider and revoker are in this account already"},
		},
		"Conditions": object{"First": object{"Fn::Equals": []any{object{"Ref": "AccountIsSetUp"}, "no"}}},
		"Resources":  resources,
	}, "", "  ")
	if err != nil {
		panic("a template has only fields that JSON can hold: " + err.Error())
	}
	return string(b) + "\n"
}

// Commands is the setup as commands of the AWS CLI, for credentials of the target account. Running them again changes nothing.
func (t *Target) Commands() string {
	path, name := t.pathAndName()
	var b strings.Builder
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	fmt.Fprintf(&b, "#!/bin/sh\n# Drawbridge: entry %s in account %s.\nset -eu\n", t.Entry.Name, t.role().Account)
	fmt.Fprintf(&b, "test \"$(aws sts get-caller-identity --query Account --output text)\" = %s || { echo 'these credentials are of another account' >&2; exit 1; }\n\n", t.role().Account)
	if t.Assume == nil {
		fmt.Fprintf(&b, "# The broker as an identity provider, once in an account.\naws iam get-open-id-connect-provider --open-id-connect-provider-arn %s >/dev/null 2>&1 ||\n  aws iam create-open-id-connect-provider --url %s --client-id-list %s\n\n", quote(t.Provider()), quote(t.Issuer), quote(t.Audience))
	}
	role := func(path, name string, trust document, more string) {
		fmt.Fprintf(&b, "if aws iam get-role --role-name %[2]s >/dev/null 2>&1; then\n  aws iam update-assume-role-policy --role-name %[2]s --policy-document %[3]s\nelse\n  aws iam create-role --path %[1]s --role-name %[2]s --assume-role-policy-document %[3]s%[4]s\nfi\n", quote(path), quote(name), quote(text(trust, "")), more)
	}
	more := fmt.Sprintf(" --max-session-duration %d", t.maxSession())
	if t.Entry.Boundary != "" {
		more += " --permissions-boundary " + quote(t.Entry.Boundary)
	}
	b.WriteString("# The role of the entry. One that is there keeps its other policies: see whether it needs them.\n")
	role(path, name, t.Trust(), more)
	fmt.Fprintf(&b, "aws iam put-role-policy --role-name %s --policy-name entry --policy-document %s\n\n", quote(name), quote(text(t.Permissions(), "")))
	fmt.Fprintf(&b, "# It cuts nothing, and keeps room for the day on which the role has none for one more deny; the broker writes it then.\naws iam get-role-policy --role-name %[1]s --policy-name %[2]s >/dev/null 2>&1 ||\n  aws iam put-role-policy --role-name %[1]s --policy-name %[2]s --policy-document %[3]s\n\n", quote(name), OlderSessions, quote(text(t.Room(), "")))
	b.WriteString("# By which the broker takes access back.\n")
	role("/", RevokerRole, t.RevokerTrust(), "")
	fmt.Fprintf(&b, "aws iam put-role-policy --role-name %s --policy-name %s --policy-document %s\n", RevokerRole, quote(t.Entry.Name), quote(text(t.RevokerPermissions(), "")))
	return b.String()
}

// Problem is something that is not as it must be.
type Problem struct {
	What string `json:"what"`
	// Bypass: somebody can cross beside the broker, or the broker could do what it must not.
	Bypass bool `json:"bypass,omitempty"`
}

// Check says what a snapshot, as the engine sees it, lacks of a setup, and who crosses into the roles beside the broker. Nothing: it is as it must be.
func (t *Target) Check(g *access.Graph) []Problem {
	var out []Problem
	say := func(bypass bool, format string, args ...any) {
		out = append(out, Problem{fmt.Sprintf(format, args...), bypass})
	}
	a := t.role()
	if t.Assume != nil {
		// no provider is needed
	} else if provider, ok := g.Org.Provider(t.Provider()); !ok {
		say(false, "there is no identity provider %s", t.Provider())
	} else if !slices.Equal(provider.Audiences, []string{t.Audience}) {
		say(false, "the identity provider %s takes tokens for %s, expected %s", t.Provider(), strings.Join(provider.Audiences, ", "), t.Audience)
	}
	if p := t.checkRole(g, t.Entry.To.Role, t.Entry.Name, t.Trust(), t.ids(false), say); p != nil {
		if longest := t.Entry.Session.Max; t.Assume == nil && p.Role != nil && p.Role.MaxSession > 0 && p.Role.MaxSession < longest {
			say(false, "the longest session of %s is %s, and the entry's %s", p.ARN, registry.FormatSpan(p.Role.MaxSession), registry.FormatSpan(longest))
		}
		if b := t.Entry.Boundary; b != "" && (p.Principal.Boundary == nil || p.Principal.Boundary.ARN != b) {
			say(false, "%s has not the permissions boundary %s", p.ARN, b)
		}
	}
	revoker := Revoker(a)
	if t.checkRole(g, revoker, RevokerSubject, t.RevokerTrust(), t.ids(true), say) != nil {
		for _, action := range t.RevokerPermissions().Statement[0].Action {
			switch v, err := g.Decide(access.Question{Principal: revoker, Action: action, Resource: t.Entry.To.Role, Rest: cond.Absent}); {
			case err != nil || v.Verdict == eval.Deny:
				say(false, "%s may not %s on %s: access could not be taken back", revoker, action, t.Entry.To.Role)
			case v.Verdict == eval.Unknown:
				say(false, "whether %s may %s on %s is not known: %s", revoker, action, t.Entry.To.Role, v.LeftOver)
			}
		}
		for _, action := range []string{"iam:AttachRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:CreateUser", "sts:AssumeRole"} {
			if v, err := g.Decide(access.Question{Principal: revoker, Action: action, Resource: t.Entry.To.Role, Rest: cond.Absent}); err == nil && v.Verdict != eval.Deny {
				say(true, "%s may %s on %s: it needs no more than to put, read and remove inline policies", revoker, action, t.Entry.To.Role)
			}
		}
	}
	return out
}

// ids are the ExternalIds that a role takes, nil where it is not taken by AssumeRole.
func (t *Target) ids(revoker bool) []string {
	switch {
	case t.Assume == nil:
		return nil
	case revoker:
		return t.Assume.RevokerIDs
	}
	return t.Assume.ExternalIDs
}

// checkRole holds the trust of a role against what it must be: the broker, and nothing else. It gives the role, nil where there is none.
func (t *Target) checkRole(g *access.Graph, role, subject string, want document, ids []string, say func(bool, string, ...any)) *org.Principal {
	p, ok := g.Org.Principal(role)
	if !ok {
		say(false, "there is no role %s", role)
		return nil
	}
	who := t.Provider()
	if t.Assume != nil {
		who = t.Assume.Role
		t.checkAssumed(g, role, want, ids, say)
	} else {
		t.checkFederated(g, role, subject, want, say)
	}
	var beside []string
	for _, e := range g.EdgesTo(role) {
		if e.Via != nil || e.Verdict == eval.Deny || e.Grantee.ID == who {
			continue
		}
		if !slices.Contains(beside, e.Grantee.ID) {
			beside = append(beside, e.Grantee.ID)
		}
	}
	slices.Sort(beside)
	for _, id := range beside {
		say(true, "%s can be taken by %s, beside the broker", role, id)
	}
	return p
}

// checkAssumed: the broker's own role is let in where it says an ExternalId, with each that there is, and without one of them it is not.
func (t *Target) checkAssumed(g *access.Graph, role string, want document, ids []string, say func(bool, string, ...any)) {
	ask := func(action string, context map[string][]string) (access.Answer, error) {
		return g.Decide(access.Question{Principal: t.Assume.Role, Action: action, Resource: role, Rest: cond.Absent, Context: context})
	}
	for i := range want.Statement {
		for _, action := range want.Statement[i].Action {
			for _, id := range ids {
				switch v, err := ask(action, map[string][]string{"sts:ExternalId": {id}}); {
				case err != nil || v.Verdict == eval.Deny:
					say(false, "%s does not let %s %s", role, t.Assume.Role, action)
				case v.Verdict == eval.Unknown:
					say(false, "whether %s lets %s %s is not known: %s", role, t.Assume.Role, action, v.LeftOver)
				}
			}
		}
	}
	for _, other := range []struct {
		what    string
		context map[string][]string
	}{{"without an ExternalId", nil}, {"with any ExternalId", map[string][]string{"sts:ExternalId": {"drawbridge-another"}}}} {
		if v, err := ask("sts:AssumeRole", other.context); err != nil || v.Verdict != eval.Deny {
			say(true, "%s lets %s in %s: whoever leads the broker astray gets in", role, t.Assume.Role, other.what)
		}
	}
}

// checkFederated: the broker's tokens with one subject and audience are let in, and no others.
func (t *Target) checkFederated(g *access.Graph, role, subject string, want document, say func(bool, string, ...any)) {
	ask := func(subject, audience, action string) (access.Answer, error) {
		return g.Decide(access.Question{Principal: "oidc:" + t.host() + ":" + subject, Action: action, Resource: role, Rest: cond.Absent, Context: map[string][]string{t.host() + ":aud": {audience}}})
	}
	for _, action := range want.Statement[0].Action {
		switch v, err := ask(subject, t.Audience, action); {
		case err != nil || v.Verdict == eval.Deny:
			say(false, "%s does not let the broker's tokens for %s %s", role, subject, action)
		case v.Verdict == eval.Unknown:
			say(false, "whether %s lets the broker's tokens for %s %s is not known: %s", role, subject, action, v.LeftOver)
		}
	}
	// A subject and an audience that nobody has chosen: what lets them in lets in others too.
	for _, other := range []struct{ subject, audience, what string }{
		{subject + ".other", t.Audience, "the broker's tokens for other entries"},
		{subject, "drawbridge.invalid", "the broker's tokens for other audiences"},
	} {
		if v, err := ask(other.subject, other.audience, "sts:AssumeRoleWithWebIdentity"); err != nil || v.Verdict != eval.Deny {
			say(true, "%s lets in %s", role, other.what)
		}
	}
}

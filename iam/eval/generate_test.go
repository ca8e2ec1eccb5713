package eval_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// The generator draws requests from a universe so small that statements meet them often, and made of what evaluators get wrong:
// paths of roles, sessions, accounts by number and by root, unique ids, case, wildcards in fields, variables, set operators,
// several values, absent keys.

const (
	home  = "111122223333"
	other = "444455556666"
)

var (
	provider = "arn:aws:iam::" + home + ":oidc-provider/idp.example"
	saml     = "arn:aws:iam::" + home + ":saml-provider/idp"

	// callers are the names of those who ask.
	callers = []string{
		"arn:aws:iam::" + home + ":user/u", "arn:aws:iam::" + home + ":user/u", "arn:aws:iam::" + home + ":user/u", "arn:aws:iam::" + home + ":role/p/r",
		"arn:aws:sts::" + home + ":assumed-role/r/s", "arn:aws:sts::" + home + ":assumed-role/r/s", "arn:aws:sts::" + home + ":assumed-role/r/s",
		"arn:aws:iam::" + other + ":role/r", "arn:aws:iam::" + other + ":user/u", "arn:aws:iam::" + home + ":root", "arn:aws:sts::" + home + ":federated-user/f",
		"arn:aws:iam::" + home + ":role/aws-service-role/x/l", "arn:aws-cn:iam::" + home + ":user/u", "s3.amazonaws.com", "anonymous", provider, saml,
	}
	// spared are lists under NotPrincipal that come near to sparing somebody, or do (51, 52).
	spared = [][]string{
		{home, "arn:aws:iam::" + home + ":user/u"}, {"arn:aws-cn:iam::" + home + ":root", "arn:aws:iam::" + home + ":user/u"}, {"arn:aws:iam::" + home + ":root", "AIDAEXAMPLE0000000001"}, {other, "arn:aws:iam::" + other + ":user/u"},
		{home, "arn:aws:iam::" + home + ":role/p/r", "arn:aws:sts::" + home + ":assumed-role/r/s"}, {home, "arn:aws:iam::" + home + ":role/r", "arn:aws:sts::" + home + ":assumed-role/r/s"},
		{"arn:aws:iam::" + home + ":role/p/r", "arn:aws:sts::" + home + ":assumed-role/r/s"}, {home, "arn:aws:sts::" + home + ":assumed-role/r/s"}, {home, "arn:aws:iam::" + home + ":role/p/r"},
		{home, "AROAEXAMPLE0000000001", "arn:aws:sts::" + home + ":assumed-role/r/s"}, {home, "arn:aws:iam::" + home + ":user/u", "arn:aws:sts::" + home + ":federated-user/f"},
	}

	// principals are values of a Principal element under AWS.
	principals = []string{
		"*", "*", "*", home, home, other, "arn:aws:iam::" + home + ":root", "arn:aws:iam::" + other + ":root", "arn:aws-cn:iam::" + home + ":root",
		"arn:aws:iam::" + home + ":user/u", "arn:aws:iam::" + home + ":role/p/r", "arn:aws:iam::" + home + ":role/r", "arn:aws:iam::" + other + ":role/r",
		"arn:aws:sts::" + home + ":assumed-role/r/s", "arn:aws:sts::" + home + ":assumed-role/r/t", "arn:aws:sts::" + home + ":federated-user/f",
		"AROAEXAMPLE0000000001", "AIDAEXAMPLE0000000001",
	}
	// resources are the resources that are asked for, with the account that owns each.
	resources = [][2]string{
		{"arn:aws:s3:::b/k", home}, {"arn:aws:s3:::b/k", other}, {"arn:aws:s3:::b/d/K", home}, {"arn:aws:s3:::b", other},
		{"arn:aws:sqs:eu-west-1:" + other + ":q", ""}, {"arn:aws:sqs:eu-west-1:" + home + ":q:x", ""},
		{"arn:aws:iam::" + home + ":role/p/r", ""}, {"arn:aws:iam::" + other + ":role/r", ""}, {"arn:aws:iam::" + home + ":role/aws-service-role/x/l", ""},
		{"arn:aws:kms:eu-west-1:" + home + ":key/1", ""}, {"arn:aws:kms:eu-west-1:" + other + ":key/1", ""}, {"*", ""}, {"*", other},
		{"arn:aws-cn:s3:::b/k", home}, {"arn:aws:iam::aws:policy/P", ""}, {"arn:aws:iam::" + home + ":role/aws-reserved/sso.amazonaws.com/a", ""},
	}
	// actionsOn are the actions that are asked for, by the service in the resource.
	actionsOn = map[string][]string{
		"s3":  {"s3:GetObject", "s3:PutObject", "s3:getobject"},
		"sqs": {"sqs:SendMessage"},
		"iam": {"sts:AssumeRole", "sts:AssumeRole", "sts:AssumeRole", "sts:TagSession", "sts:TagSession", "iam:GetRole", "sts:AssumeRoleWithWebIdentity", "iam:PassRole", "iam:GetRole", "iam:DeleteRole", "iam:CreatePolicyVersion"},
		"kms": {"kms:Decrypt", "kms:RetireGrant", "kms:ScheduleKeyDeletion"},
		"":    {"s3:ListAllMyBuckets", "sts:GetCallerIdentity", "sqs:ListQueues"},
	}
	actionPatterns = []string{"*", "*", "*", "*", "s3:*", "s3:*", "S3:Get*", "s3:?etObject", "sts:*", "sts:AssumeRole*", "kms:*", "sqs:*", "*:*e*", "iam:*", "s3:PutObject", "sts:AssumeRole"}
	resourceParts  = []string{
		"*", "*", "*", "*", "arn:aws:s3:::b/*", "arn:aws:s3:::b", "arn:aws:s3:::?/k", "arn:aws:s3:::b/d/k", "arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::b/${aws:PrincipalTag/Team, 'k'}",
		"arn:aws:s3:::b/${aws:TagKeys}", "arn:aws:s3:::b/${*}", "arn:*:sqs:*:*:q", "arn:aws:sqs:eu-west-1:" + other + ":*", "arn:aws:sqs", "arn:aws:iam::*:role/r", "arn:aws:iam::" + home + ":role/*",
		"arn:aws:kms:*:" + home + ":key/*", "arn:aws:k*", "arn:aws:s3:*:b/k", "a*k",
		"arn:aws:s3:::b/${aws:username}${aws:PrincipalTag/team}", "arn:aws:s3:::${aws:PrincipalTag/none}*", "arn:aws*:s3:::b/*", "arn:aws:iam::aws:policy/*",
	}
	// values are what context keys have, and what tests compare them with.
	keyValues = map[string][]string{
		"aws:PrincipalTag/team": {"k", "K", "*", "d/K"},
		"aws:SourceIp":          {"10.0.0.1", "10.1.0.1", "2001:db8::1", "2001:DB8:0::1", "::ffff:10.0.0.1", "10.0.0.0/15", "x"},
		"aws:CurrentTime":       {"2026-01-01T00:00:00Z", "2026-06-01T12:00:00+02:00", "1767225600", "2026-01-01T00:00:00.5Z", "2026-06", "x"},
		"s3:max-keys":           {"1", "01.0", "10", "x", "-0", "0x1", "5.00"},
		"aws:SecureTransport":   {"true", "True", "false", "x"},
		"aws:SourceArn":         {"arn:aws:s3:::b", "arn:aws:sns:eu-west-1:" + home + ":t", "k"},
		"x:bytes":               {"YQ==", "YWI=", "?"},
		"aws:TagKeys":           {"k", "K", "team"},
		"aws:PrincipalOrgID":    {"o-1", "o-2"},
		"aws:ResourceTag/team":  {"k", "K"},
	}
	tested = []string{"aws:PrincipalTag/team", "aws:SourceIp", "aws:CurrentTime", "s3:max-keys", "aws:SecureTransport", "aws:SourceArn", "x:bytes", "aws:TagKeys", "aws:PrincipalOrgID", "aws:ResourceTag/team",
		"aws:PrincipalArn", "aws:username", "aws:PrincipalAccount", "aws:userid"}
	operatorsOf = map[string][]string{
		"aws:SourceIp": {"IpAddress", "NotIpAddress"}, "aws:CurrentTime": {"DateEquals", "DateNotEquals", "DateLessThan", "DateGreaterThanEquals"},
		"s3:max-keys": {"NumericEquals", "NumericNotEquals", "NumericLessThanEquals", "NumericGreaterThan"}, "aws:SecureTransport": {"Bool"},
		"x:bytes": {"BinaryEquals"}, "aws:SourceArn": {"ArnEquals", "ArnLike", "ArnNotLike", "ArnNotEquals", "StringLike"}, "aws:PrincipalArn": {"ArnLike", "ArnNotEquals", "StringEquals"},
	}
	text    = []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"}
	compars = map[string][]string{
		"aws:SourceIp": {"10.0.0.0/8", "10.0.0.1", "10.0.0.0/16", "2001:db8::/32", "2001:db8::1", "::/0"}, "aws:CurrentTime": {"2026-01-01", "2026-06-01T10:00:00Z", "2026", "2026-06", "2026-06-01T10:00Z", "1767225600"},
		"s3:max-keys": {"1", "5", "10.0", "-1", "0"}, "aws:SecureTransport": {"true", "false", "TRUE"}, "x:bytes": {"YQ==", "YWI="},
		"aws:SourceArn":    {"arn:aws:s3:::*", "arn:aws:sns:*:" + home + ":*", "arn:aws:s3:::b", "*", "arn:aws:s3"},
		"aws:PrincipalArn": {"arn:aws:iam::" + home + ":role/*", "arn:aws:iam::*:user/u", "arn:aws:iam::" + home + ":role/p/r", "*", "arn:aws:iam::" + home + ":root"},
		"aws:username":     {"u", "U", "?"}, "aws:PrincipalAccount": {home, other, "anonymous"}, "aws:userid": {"*:s", "AIDAEXAMPLE0000000001", home},
	}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func some[T any](r *rand.Rand, list []T, most int) []T {
	out := make([]T, 0, most)
	for range 1 + r.IntN(most) {
		out = append(out, pick(r, list))
	}
	return out
}

// listOrOne writes one value as a scalar at times (16).
func listOrOne(r *rand.Rand, list []string) any {
	if len(list) == 1 && r.IntN(2) == 0 {
		return list[0]
	}
	return list
}

// drawnCaller is one of the kinds of callers.
func drawnCaller(r *rand.Rand) *eval.Caller {
	c, err := eval.NewCaller(pick(r, callers))
	if err != nil {
		panic(err)
	}
	switch c.Kind {
	case eval.Role:
		if c.Session == "" {
			f := strings.Split(c.ARN, "/")
			c.Session = "arn:aws:sts::" + c.Account + ":assumed-role/" + f[len(f)-1] + "/s"
		} else if r.IntN(2) == 0 {
			c.ARN = "arn:aws:iam::" + home + ":role/p/r"
		}
		c.UniqueID = "AROAEXAMPLE0000000001"
	case eval.User:
		c.UniqueID = "AIDAEXAMPLE0000000001"
	case eval.FederatedUser:
		c.ARN = "arn:aws:iam::" + home + ":user/u"
	}
	c.Management = r.IntN(8) == 0
	c.CanonicalID = map[string]string{home: strings.Repeat("c0", 32), other: strings.Repeat("ff", 32)}[c.Account]
	c.Update()
	if c.Kind == eval.User && r.IntN(5) == 0 {
		return c.WithCredentials(eval.Credentials{Token: true, MFA: r.IntN(2) == 0, Issued: time.Unix(1767225600, 0)})
	}
	return c
}

// drawnContext knows every key: those that nobody mentions are absent, and what the caller leaves open is settled.
func drawnContext(r *rand.Rand, c *eval.Caller) *cond.Context {
	ctx := &cond.Context{Parent: c.Context(), Rest: cond.Absent}
	keys := make([]string, 0, len(keyValues))
	for key := range keyValues {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		switch r.IntN(4) {
		case 0:
		case 1:
			if key == "aws:TagKeys" || key == "aws:SourceArn" && r.IntN(4) == 0 {
				ctx.Set(key, some(r, keyValues[key], 3)[r.IntN(2):]...)
				continue
			}
			fallthrough
		default:
			ctx.Set(strings.ToUpper(key[:1])+key[1:], pick(r, keyValues[key]))
		}
	}
	if c.Kind == eval.FederatedUser {
		ctx.Set("aws:userid", home+":f")
	}
	return ctx
}

// drawnTest is one entry of a Condition element.
func drawnTest(r *rand.Rand) (operator, key string, values []string) {
	key = pick(r, tested)
	operator = pick(r, append(slices.Clone(text), operatorsOf[key]...))
	if special := operatorsOf[key]; special != nil {
		operator = pick(r, special)
	}
	values = keyValues[key]
	if c := compars[key]; c != nil {
		values = c
	} else if strings.HasPrefix(operator, "String") {
		values = append(slices.Clone(values), "*", "k*", "${aws:username}", "${aws:PrincipalTag/team}", "${aws:PrincipalTag/none, 'k'}", "${?}")
	}
	values = some(r, values, 2)
	switch r.IntN(8) {
	case 0:
		operator += "IfExists"
	case 1:
		operator = pick(r, []string{"ForAnyValue:", "ForAllValues:"}) + operator + pick(r, []string{"", "", "IfExists"})
	case 2:
		key = strings.ToUpper(key)
	case 3:
		if r.IntN(2) == 0 {
			operator, values = "Null", []string{pick(r, []string{"true", "false"})}
		}
	}
	if key == "aws:TagKeys" && r.IntN(4) > 0 && !strings.Contains(operator, ":") && operator != "Null" {
		operator = pick(r, []string{"ForAnyValue:", "ForAllValues:"}) + operator
	}
	return operator, key, values
}

// drawnStatement is a statement for a layer, as it would be written.
func drawnStatement(r *rand.Rand, layer eval.Layer) map[string]any {
	s := map[string]any{"Effect": "Allow"}
	if layer == eval.RCP || r.IntN(9) == 0 {
		s["Effect"] = "Deny"
	}
	s[pick(r, []string{"Action", "Action", "Action", "Action", "NotAction"})] = listOrOne(r, some(r, actionPatterns, 2))
	if layer != eval.Trust {
		s[pick(r, []string{"Resource", "Resource", "Resource", "Resource", "NotResource"})] = listOrOne(r, some(r, resourceParts, 2))
	}
	switch layer {
	case eval.RCP:
		s["Principal"] = "*"
	case eval.Trust, eval.Resource, eval.Endpoint:
		element := pick(r, []string{"Principal", "Principal", "Principal", "Principal", "NotPrincipal"})
		if element == "NotPrincipal" && r.IntN(2) == 0 {
			s[element] = map[string]any{"AWS": pick(r, spared)}
			if r.IntN(2) == 0 {
				s["Effect"] = "Deny"
			}
			break
		}
		service := map[string]any{"Service": pick(r, []string{"s3.amazonaws.com", "S3.amazonaws.com", "ec2.amazonaws.com"})}
		switch r.IntN(9) {
		case 0, 1:
			s[element] = "*"
		case 2:
			s[element] = service
		case 3:
			s[element] = map[string]any{"Federated": pick(r, []string{provider, saml})}
		case 4:
			s["Principal"] = map[string]any{"CanonicalUser": strings.Repeat(pick(r, []string{"c0", "de"}), 32)}
		case 5:
			service["AWS"] = pick(r, principals)
			s[element] = service
		default:
			s[element] = map[string]any{"AWS": listOrOne(r, some(r, principals, 2))}
		}
	}
	if r.IntN(3) == 0 {
		block := map[string]any{}
		for range 1 + r.IntN(2) {
			operator, key, values := drawnTest(r)
			block[operator] = map[string]any{key: listOrOne(r, values)}
		}
		s["Condition"] = block
	}
	return s
}

// drawnDocument is a document as JSON.
func drawnDocument(r *rand.Rand, layer eval.Layer, most int) string {
	statements := make([]any, 0, most)
	for range 1 + r.IntN(most+1) {
		statements = append(statements, drawnStatement(r, layer))
	}
	d := map[string]any{"Statement": statements}
	switch r.IntN(6) {
	case 0:
	case 1:
		d["Version"] = "2008-10-17"
	default:
		d["Version"] = "2012-10-17"
	}
	text, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return string(text)
}

const fullAccess = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

func setOf(documents ...string) eval.Set {
	var s eval.Set
	for _, text := range documents {
		d, problems := policy.Parse([]byte(text))
		for _, p := range problems {
			panic(fmt.Sprintf("%s: %v", text, p))
		}
		s.Policies = append(s.Policies, policy.Compile(d))
	}
	return s
}

// drawnRequest is a request with all its policies.
func drawnRequest(r *rand.Rand) *eval.Request {
	c := drawnCaller(r)
	target := pick(r, resources)
	service := ""
	if f := strings.SplitN(target[0], ":", 6); len(f) == 6 {
		service = f[2]
	}
	layer := eval.Resource
	q := &eval.Request{Caller: c, Resource: target[0], ResourceAccount: target[1], Action: eval.MustAction(pick(r, actionsOn[service]))}
	if c.Kind == eval.WebIdentity || c.Kind == eval.SAML {
		q.Action = eval.MustAction(map[eval.CallerKind]string{eval.WebIdentity: "sts:AssumeRoleWithWebIdentity", eval.SAML: "sts:AssumeRoleWithSAML"}[c.Kind])
		q.Resource, q.ResourceAccount, service = "arn:aws:iam::"+home+":role/p/r", "", "iam"
	}
	if service == "iam" && q.Action.Service() == "sts" {
		if !strings.Contains(q.Resource, ":role/") {
			q.Action = eval.MustAction("iam:CreatePolicyVersion")
		} else {
			layer = eval.Trust
		}
	}
	p := &eval.Policies{}
	open := r.IntN(3) > 0 // so that about half of all requests are allowed: every side allows all beside what it draws
	document := func(layer eval.Layer) string {
		if layer != eval.Resource && layer != eval.Trust && (r.IntN(2) == 0 || open && r.IntN(3) > 0) {
			return fullAccess
		}
		return drawnDocument(r, layer, 3)
	}
	for range 1 + r.IntN(3) {
		p.Identity.Policies = append(p.Identity.Policies, setOf(document(eval.Identity)).Policies...)
	}
	if open {
		p.Identity.Policies = append(p.Identity.Policies, setOf(fullAccess).Policies...)
	}
	optional := func(layer eval.Layer, chance int) *eval.Set {
		if r.IntN(chance) > 0 {
			return nil
		}
		s := setOf(document(layer))
		return &s
	}
	if r.IntN(5) > 0 {
		s := setOf(document(layer))
		if open {
			s.Policies = append(s.Policies, setOf(fullAccessTo).Policies...)
		}
		p.Resource = &s
	}
	p.Boundary = optional(eval.Boundary, 4)
	p.Session = optional(eval.Session, 4)
	if r.IntN(6) == 0 {
		s := eval.Set{Policies: setOf(fullAccessTo).Policies}
		if r.IntN(2) == 0 {
			s = setOf(document(eval.Resource))
		}
		p.Endpoint = &s
		p.Gateway = r.IntN(3) == 0 && !strings.Contains(string(s.Policies[0].Document.Canonical()), "NotPrincipal") // there AWS does not define it
	}
	if r.IntN(4) == 0 {
		for range 1 + r.IntN(2) {
			p.SCPs = append(p.SCPs, setOf(fullAccess, document(eval.SCP)))
		}
		if r.IntN(3) == 0 {
			p.SCPs = append(p.SCPs, setOf(document(eval.SCP)))
		}
	}
	if r.IntN(4) == 0 {
		p.RCPs = append(p.RCPs, setOf(drawnDocument(r, eval.RCP, 2)))
	}
	q.Policies, q.Context, q.Facts = p, drawnContext(r, c), drawnFacts(r, service)
	return q
}

// drawnFacts are what is known of the resource beside its policies.
func drawnFacts(r *rand.Rand, service string) *eval.Facts {
	switch {
	case service == "s3" && r.IntN(4) == 0:
		return &eval.Facts{TagsIgnored: true}
	case service == "kms" && r.IntN(3) == 0:
		f := &eval.Facts{AWSManaged: r.IntN(3) == 0}
		holders := append([]string{"s3.amazonaws.com"}, principals[3:len(principals)-2]...) // by name, not by unique id
		for range 1 + r.IntN(2) {
			f.Grants = append(f.Grants, eval.KMSGrant{Grantee: pick(r, holders), Retiring: pick(r, append(holders, "")), Operations: some(r, []string{"kms:decrypt", "kms:retiregrant", "kms:encrypt"}, 2)})
		}
		return f
	}
	return nil
}

const fullAccessTo = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`

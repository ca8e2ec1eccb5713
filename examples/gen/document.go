package main

// The notation for policies: policy(allow("s3:GetObject").on(bucket+"/*").when("StringEquals", key, value)).

// document is a policy document with its elements in the order in which people write them.
type document struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid          string                    `json:",omitempty"`
	Effect       string                    `json:""`
	Principal    any                       `json:",omitempty"`
	NotPrincipal any                       `json:",omitempty"`
	Action       any                       `json:",omitempty"`
	NotAction    any                       `json:",omitempty"`
	Resource     any                       `json:",omitempty"`
	NotResource  any                       `json:",omitempty"`
	Condition    map[string]map[string]any `json:",omitempty"`
}

func policy(statements ...statement) *document {
	return &document{Version: "2012-10-17", Statement: statements}
}

func allow(actions ...string) statement {
	return statement{Effect: "Allow", Action: oneOrList(actions)}
}

func deny(actions ...string) statement { return statement{Effect: "Deny", Action: oneOrList(actions)} }

// denyAllBut denies every action that is not named.
func denyAllBut(actions ...string) statement {
	return statement{Effect: "Deny", NotAction: oneOrList(actions)}
}

func (s statement) named(sid string) statement {
	s.Sid = sid
	return s
}

// on names the resources.
func (s statement) on(resources ...string) statement {
	s.Resource = oneOrList(resources)
	return s
}

// by names principals of one kind: AWS, Service or Federated.
func (s statement) by(kind string, who ...string) statement {
	s.Principal = map[string]any{kind: oneOrList(who)}
	return s
}

func (s statement) byAnyone() statement {
	s.Principal = "*"
	return s
}

func (s statement) byAllBut(who ...string) statement {
	s.NotPrincipal = map[string]any{"AWS": oneOrList(who)}
	return s
}

// when adds a condition; the statement it is called on stays as it was.
func (s statement) when(operator, key string, values ...string) statement {
	conditions := map[string]map[string]any{}
	for op, keys := range s.Condition {
		conditions[op] = map[string]any{}
		for k, v := range keys {
			conditions[op][k] = v
		}
	}
	if conditions[operator] == nil {
		conditions[operator] = map[string]any{}
	}
	conditions[operator][key] = oneOrList(values)
	s.Condition = conditions
	return s
}

func oneOrList(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	return values
}

// Trust policies of the usual kinds.

// trusts lets principals of AWS assume a role.
func trusts(who ...string) statement { return allow("sts:AssumeRole").by("AWS", who...) }

// serves lets a service assume a role, for resources of one account.
func serves(a *account, host string) *document {
	return policy(allow("sts:AssumeRole").by("Service", host).when("StringEquals", "aws:SourceAccount", a.ID))
}

// servesAnybody lets a service assume a role for whomever it works: what many guides show.
func servesAnybody(host string) *document {
	return policy(allow("sts:AssumeRole").by("Service", host))
}

// github lets workflows of GitHub Actions assume a role, by subject.
func github(a *account, operator string, subjects ...string) statement {
	return allow("sts:AssumeRoleWithWebIdentity").by("Federated", a.iam("oidc-provider/"+githubHost)).
		when("StringEquals", githubHost+":aud", "sts.amazonaws.com").
		when(operator, githubHost+":sub", subjects...)
}

const githubHost = "token.actions.githubusercontent.com"

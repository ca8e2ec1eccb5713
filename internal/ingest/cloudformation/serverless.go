package cloudformation

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// serverless writes out the role that the SAM transform gives a function that names none. Everything else that the transform adds is told as a gap of the transform.
//
// Source: AWS SAM Developer Guide, "Generated CloudFormation resources for AWS::Serverless::Function".
func (s *stack) serverless() {
	globals := s.root.get("Globals").get("Function")
	for _, r := range slices.Clone(s.order) {
		if r.typ != "AWS::Serverless::Function" {
			continue
		}
		r.row = byType["AWS::Lambda::Function"]
		properties := r.raw.get("Properties")
		setting := func(name string) *node {
			if v := properties.get(name); v != nil {
				return v
			}
			return globals.get(name)
		}
		if setting("Role") != nil {
			continue
		}
		at := r.pos
		trust := setting("AssumeRolePolicyDocument")
		if trust == nil {
			trust = allow(at, field{"Principal", at, &node{kind: object, pos: at, fields: []field{{"Service", at, literal("lambda.amazonaws.com", at)}}}}, "sts:AssumeRole")
		}
		role := &node{kind: object, pos: at, fields: []field{{"AssumeRolePolicyDocument", trust.pos, trust}}}
		arns := &node{kind: list, pos: at, items: []*node{literal("arn:"+s.o.partition()+":iam::aws:policy/service-role/AWSLambdaBasicExecutionRole", at)}}
		inline := &node{kind: list, pos: at}
		for _, p := range setting("Policies").list() {
			_, _, call := function(p)
			switch {
			case p.kind == text && strings.HasPrefix(p.text, "arn:") || call:
				arns.items = append(arns.items, p)
			case p.kind == text && managedName.MatchString(p.text):
				arns.items = append(arns.items, literal("arn:"+s.o.partition()+":iam::aws:policy/"+p.text, p.pos))
			case p.get("Statement") != nil:
				inline.items = append(inline.items, &node{kind: object, pos: p.pos, fields: []field{{"PolicyName", p.pos, literal(r.logical+"RolePolicy"+strconv.Itoa(len(inline.items)), p.pos)}, {"PolicyDocument", p.pos, p}}})
			default:
				name := p.text
				if p.kind == object && len(p.fields) > 0 {
					name = p.fields[0].key
				}
				inline.items = append(inline.items, lost("{"+s.prefix+r.logical+"."+name+"}", "is the policy template "+name+" of SAM", p.pos))
			}
		}
		role.fields = append(role.fields, field{"ManagedPolicyArns", at, arns})
		if len(inline.items) > 0 {
			role.fields = append(role.fields, field{"Policies", inline.pos, inline})
		}
		for from, to := range map[string]string{"PermissionsBoundary": "PermissionsBoundary", "RolePath": "Path"} {
			if v := setting(from); v != nil {
				role.fields = append(role.fields, field{to, v.pos, v})
			}
		}
		raw := &node{kind: object, pos: at, fields: []field{{"Type", at, literal("AWS::IAM::Role", at)}, {"Properties", at, role}}}
		if c := r.raw.get("Condition"); c != nil {
			raw.fields = append(raw.fields, field{"Condition", c.pos, c})
		}
		made := &resource{s: s, logical: r.logical + "Role", typ: "AWS::IAM::Role", raw: raw, pos: at, row: byType["AWS::IAM::Role"]}
		if s.resources[made.logical] == nil {
			made.setPhysical(s.o.Physical[made.address()])
			s.resources[made.logical] = made
			s.order = append(s.order, made)
		}
	}
}

// managedName is the name of a policy of AWS; a bare name of a policy template has an argument beside it.
var managedName = regexp.MustCompile(`^[A-Za-z0-9_+=,.@/-]+$`)

// allow is a document of one statement.
func allow(at place, who field, action string) *node {
	statement := &node{kind: object, pos: at, fields: []field{{"Effect", at, literal("Allow", at)}, who, {"Action", at, literal(action, at)}}}
	return &node{kind: object, pos: at, fields: []field{{"Version", at, literal("2012-10-17", at)}, {"Statement", at, &node{kind: list, pos: at, items: []*node{statement}}}}}
}

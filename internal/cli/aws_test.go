package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// playAWS stands in for the AWS CLI in the walkthroughs: it makes the few changes that Drawbridge proposes to the snapshot in the
// folder of $AWS_SNAPSHOT, as if they had been made in AWS and collected again. What it does not know it refuses.
func playAWS(args []string) error {
	a := playedAWS{dir: os.Getenv("AWS_SNAPSHOT"), profile: os.Getenv("AWS_PROFILE"), options: map[string]string{}}
	if a.dir == "" {
		return errors.New("AWS_SNAPSHOT names no folder")
	}
	var words []string
	for i := 0; i < len(args); i++ {
		name, isOption := strings.CutPrefix(args[i], "--")
		if !isOption {
			words = append(words, args[i])
			continue
		}
		if name, value, ok := strings.Cut(name, "="); ok {
			a.options[name] = value
			continue
		}
		if i+1 == len(args) || strings.HasPrefix(args[i+1], "--") {
			a.options[name] = "true"
			continue
		}
		i++
		a.options[name] = args[i]
	}
	if p := a.options["profile"]; p != "" {
		a.profile = p
	}
	do := map[string]func() error{
		"iam get-role":                       a.getRole,
		"iam update-assume-role-policy":      a.role(func(r map[string]any) { r["AssumeRolePolicyDocument"] = a.document("policy-document") }),
		"iam update-role":                    a.role(func(r map[string]any) { r["MaxSessionDuration"] = json.Number(a.options["max-session-duration"]) }),
		"iam put-role-policy":                a.role(a.putRolePolicy),
		"iam delete-role-policy":             a.role(a.deleteRolePolicy),
		"iam detach-role-policy":             a.role(a.detachRolePolicy),
		"iam delete-role":                    a.deleteRole,
		"s3api put-bucket-policy":            a.resource("bucket", "policy"),
		"s3api delete-bucket-policy":         a.resource("bucket", ""),
		"kms put-key-policy":                 a.resource("key-id", "policy"),
		"sns set-topic-attributes":           a.resource("topic-arn", "attribute-value"),
		"sqs set-queue-attributes":           a.resource("queue-url", "attributes"),
		"secretsmanager put-resource-policy": a.resource("secret-id", "resource-policy"),
		"kms revoke-grant": a.lines("grants.jsonl", func(g map[string]any) bool {
			return g["keyArn"] != a.options["key-id"] || g["grantId"] != a.options["grant-id"]
		}),
		"rds modify-db-snapshot-attribute": a.lines("shares.jsonl", func(s map[string]any) bool {
			return !named(s, ":snapshot:"+a.options["db-snapshot-identifier"]) || !without(s, a.options["values-to-remove"])
		}),
		"ec2 modify-image-attribute": a.lines("shares.jsonl", func(s map[string]any) bool {
			return !named(s, "/"+a.options["image-id"]) || !without(s, "all")
		}),
	}
	call := strings.Join(words, " ")
	f, ok := do[call]
	if !ok {
		return fmt.Errorf("%q is not played", call)
	}
	return f()
}

type playedAWS struct {
	dir, profile string
	options      map[string]string
	err          error
}

// named reports whether the ARN of something ends in a way.
func named(thing map[string]any, end string) bool {
	arn, _ := thing["arn"].(string)
	return strings.HasSuffix(arn, end)
}

// without takes one receiver from a share, and reports whether none is left.
func without(share map[string]any, receiver string) bool {
	with, _ := share["with"].([]any)
	with = slices.DeleteFunc(with, func(w any) bool { return w == receiver })
	share["with"] = with
	return len(with) == 0
}

// document is the value of an option that is a JSON document, in place or in a file.
func (a *playedAWS) document(option string) any {
	text := a.options[option]
	if name, ok := strings.CutPrefix(text, "file://"); ok {
		data, err := os.ReadFile(name)
		if err != nil {
			a.err = err
			return nil
		}
		text = string(data)
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		a.err = fmt.Errorf("--%s: %w", option, err)
	}
	return v
}

func (a *playedAWS) edit(name string, change func(any) (any, error)) error {
	path := filepath.Join(a.dir, filepath.FromSlash(name))
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if v, err = change(v); err == nil {
		err = a.err
	}
	if err != nil {
		return err
	}
	if data, err = json.MarshalIndent(v, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func (a *playedAWS) roles(change func(roles []any) ([]any, error)) error {
	if a.profile == "" {
		return errors.New("no account: set AWS_PROFILE, or --profile")
	}
	return a.edit("accounts/"+a.profile+"/iam.json", func(v any) (any, error) {
		file := v.(map[string]any)
		roles, err := change(file["RoleDetailList"].([]any))
		file["RoleDetailList"] = roles
		return file, err
	})
}

func (a *playedAWS) role(change func(role map[string]any)) func() error {
	return func() error {
		return a.roles(func(roles []any) ([]any, error) {
			for _, r := range roles {
				if r := r.(map[string]any); r["RoleName"] == a.options["role-name"] {
					change(r)
					return roles, nil
				}
			}
			return roles, fmt.Errorf("NoSuchEntity: the role with name %s cannot be found", a.options["role-name"])
		})
	}
}

func (a *playedAWS) getRole() error {
	return a.role(func(r map[string]any) {
		out, _ := json.MarshalIndent(r["AssumeRolePolicyDocument"], "", "    ")
		fmt.Println(string(out))
	})()
}

func (a *playedAWS) deleteRole() error {
	return a.roles(func(roles []any) ([]any, error) {
		return slices.DeleteFunc(roles, func(r any) bool { return r.(map[string]any)["RoleName"] == a.options["role-name"] }), nil
	})
}

func (a *playedAWS) putRolePolicy(r map[string]any) {
	a.deleteRolePolicy(r)
	list, _ := r["RolePolicyList"].([]any)
	r["RolePolicyList"] = append(list, map[string]any{"PolicyName": a.options["policy-name"], "PolicyDocument": a.document("policy-document")})
}

func (a *playedAWS) deleteRolePolicy(r map[string]any) {
	list, _ := r["RolePolicyList"].([]any)
	r["RolePolicyList"] = slices.DeleteFunc(list, func(p any) bool { return p.(map[string]any)["PolicyName"] == a.options["policy-name"] })
}

func (a *playedAWS) detachRolePolicy(r map[string]any) {
	list, _ := r["AttachedManagedPolicies"].([]any)
	r["AttachedManagedPolicies"] = slices.DeleteFunc(list, func(p any) bool { return p.(map[string]any)["PolicyArn"] == a.options["policy-arn"] })
}

// resource sets the policy of the resource that an option names by ARN or name, to the document of another; "": to none.
func (a *playedAWS) resource(nameOption, documentOption string) func() error {
	return func() error {
		name := a.options[nameOption]
		if name == "" {
			return fmt.Errorf("--%s is missing", nameOption)
		}
		files, err := filepath.Glob(filepath.Join(a.dir, "accounts", "*", "resources.jsonl"))
		if err != nil {
			return err
		}
		found := false
		for _, file := range files {
			relative, err := filepath.Rel(a.dir, file)
			if err != nil {
				return err
			}
			err = a.lines(filepath.ToSlash(relative), func(r map[string]any) bool {
				if arn := r["arn"].(string); arn == name || strings.HasSuffix(arn, ":"+name) || strings.HasSuffix(arn, "/"+name) {
					found = true
					delete(r, "error")
					r["policy"] = nil
					if documentOption != "" {
						r["policy"] = a.document(documentOption)
					}
				}
				return true
			})()
			if err != nil {
				return err
			}
		}
		if !found {
			return fmt.Errorf("there is no %s", name)
		}
		return a.err
	}
}

// lines changes a file of one JSON object a line; lines that are not kept go.
func (a *playedAWS) lines(name string, keep func(map[string]any) bool) func() error {
	return func() error {
		path := filepath.Join(a.dir, filepath.FromSlash(name))
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var out strings.Builder
		for line := range strings.Lines(string(data)) {
			var v map[string]any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if !keep(v) {
				continue
			}
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			out.Write(text)
			out.WriteByte('\n')
		}
		return os.WriteFile(path, []byte(out.String()), 0o644)
	}
}

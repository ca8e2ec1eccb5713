package iamcollect

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/internal/snapshot"
)

// folder is a folder of iam-collect under construction, by the rules of its storage: names in lower case, empty content not written.
type folder fstest.MapFS

func (f folder) put(name string, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	if slices.Contains([]string{"null", "{}", "[]", `""`}, string(text)) {
		return
	}
	f[strings.ToLower(name)] = &fstest.MapFile{Data: text}
}

// at is the folder of a resource.
func at(account string, name string) string {
	a, err := arn.Parse(name)
	if err != nil {
		panic(err)
	}
	parts := []string{"aws", a.Partition, "accounts", account, a.Service, a.Region}
	if a.Account == "aws" {
		parts = append(parts, "aws")
	}
	kind, rest := "", a.Resource
	if i := strings.IndexAny(a.Resource, "/:"); i >= 0 && a.Service != "sns" && a.Service != "sqs" && (a.Service != "s3" || a.Account != "") {
		kind, rest = a.Resource[:i], a.Resource[i+1:]
	}
	return path.Join(append(parts, kind, url.PathEscape(rest))...)
}

func document(d snapshot.Document) any {
	if d.State != snapshot.Read {
		return nil
	}
	return json.RawMessage(d.Policy.Document.Canonical())
}

// write writes what iam-collect would have written of a snapshot, as far as it collects it.
func write(s *snapshot.Snapshot) folder {
	f := folder{}
	inline := func(ds []snapshot.Document) any {
		out := []any{}
		for _, d := range ds {
			out = append(out, map[string]any{"PolicyName": d.Name, "PolicyDocument": document(d)})
		}
		return out
	}
	arns := func(as []snapshot.Attachment) any {
		out := []string{}
		for _, a := range as {
			out = append(out, a.ARN)
		}
		return out
	}
	common := func(p *snapshot.Principal) string {
		dir := at(p.Account, p.ARN)
		m := map[string]any{"arn": p.ARN, "name": p.Name, "id": p.UniqueID, "path": p.Path}
		if !p.Created.IsZero() {
			m["created"] = p.Created.UTC().Format("2006-01-02T15:04:05.000Z")
		}
		if p.Boundary != nil {
			m["permissionBoundary"] = p.Boundary.ARN
		}
		f.put(dir+"/metadata.json", m)
		f.put(dir+"/inline-policies.json", inline(p.Inline))
		f.put(dir+"/managed-policies.json", arns(p.Attached))
		f.put(dir+"/tags.json", p.Tags)
		return dir
	}
	for i := range s.Users {
		dir := common(&s.Users[i].Principal)
		var groups []string
		for _, g := range s.Users[i].Groups {
			groups = append(groups, "arn:aws:iam::"+s.Users[i].Account+":group/"+g)
		}
		f.put(dir+"/groups.json", groups)
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		common(&snapshot.Principal{ARN: g.ARN, UniqueID: g.UniqueID, Account: g.Account, Name: g.Name, Path: g.Path, Inline: g.Inline, Attached: g.Attached})
	}
	for i := range s.Roles {
		dir := common(&s.Roles[i].Principal)
		f.put(dir+"/trust-policy.json", document(s.Roles[i].Trust))
		f.put(dir+"/instance-profiles.json", s.Roles[i].InstanceProfiles)
	}
	for _, p := range s.Policies {
		account := p.Account
		if account == "" {
			account = s.Roles[0].Account
		}
		dir := at(account, p.ARN)
		f.put(dir+"/metadata.json", map[string]any{"arn": p.ARN, "defaultVersionId": "v1"})
		f.put(dir+"/current-policy.json", document(p.Document))
	}
	for _, r := range s.Resources {
		dir := at(r.Account, r.ARN)
		f.put(dir+"/metadata.json", map[string]any{"arn": r.ARN, "region": r.Region})
		f.put(dir+"/policy.json", document(r.Policy))
		f.put(dir+"/tags.json", r.Tags)
	}
	o := s.Organization
	dir := "aws/aws/organizations/" + o.ID
	attachedTo := func(ps []snapshot.ControlPolicy, target string) []string {
		out := []string{}
		for _, p := range ps {
			if slices.Contains(p.Targets, target) {
				out = append(out, p.ARN)
			}
		}
		return out
	}
	accounts, units := map[string]any{}, map[string]any{}
	for _, a := range s.Accounts {
		if a.Kind == snapshot.Member || a.Kind == snapshot.Management {
			accounts[a.ID] = map[string]any{"ou": path.Base(a.UnitPath), "scps": attachedTo(o.SCPs, a.ID), "rcps": attachedTo(o.RCPs, a.ID), "s3Policies": []string{}, "tags": a.Tags}
		}
	}
	for _, u := range o.Units {
		m := map[string]any{"scps": attachedTo(o.SCPs, u.Path), "rcps": attachedTo(o.RCPs, u.Path)}
		if parent := path.Dir(u.Path); parent != "." {
			m["parent"] = path.Base(parent)
		}
		units[path.Base(u.Path)] = m
		f.put(dir+"/ous/"+path.Base(u.Path)+"/metadata.json", map[string]any{"name": u.Name})
	}
	for kind, ps := range map[string][]snapshot.ControlPolicy{"scps": o.SCPs, "rcps": o.RCPs} {
		for _, p := range ps {
			f.put(dir+"/"+kind+"/"+path.Base(p.ARN)+"/metadata.json", map[string]any{"arn": p.ARN, "name": p.Name})
			f.put(dir+"/"+kind+"/"+path.Base(p.ARN)+"/policy.json", document(p.Document))
		}
	}
	f.put(dir+"/metadata.json", map[string]any{"id": o.ID, "rootAccountId": o.ManagementAccount, "features": map[string]bool{"SERVICE_CONTROL_POLICY": true}})
	f.put(dir+"/accounts.json", accounts)
	f.put(dir+"/ous.json", units)
	return f
}

// files are the files of the directory form.
func files(t *testing.T, s *snapshot.Snapshot) map[string]string {
	t.Helper()
	out := make(map[string]string)
	if err := snapshot.Write(s, func(name string, data []byte) error { out[name] = string(data); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestExample: the example organisation, written as iam-collect writes it and read, has the same principals, policies and control policies, and the same policies of resources.
func TestExample(t *testing.T) {
	want, err := snapshot.ReadFS(os.DirFS("../../../examples/acme"))
	if err != nil {
		t.Fatal(err)
	}
	// What iam-collect does not write.
	for i := range want.Users {
		want.Users[i].AccessKeys, want.Users[i].LastUsed = -1, time.Time{}
	}
	for i := range want.Roles {
		want.Roles[i].MaxSession, want.Roles[i].LastUsed = 0, time.Time{}
	}
	for i, p := range want.Organization.SCPs {
		if p.ARN == "" {
			want.Organization.SCPs[i].ARN = "arn:aws:organizations::" + want.Organization.ManagementAccount + ":policy/" + want.Organization.ID + "/service_control_policy/p-" + p.Name
		}
	}
	for i, p := range want.Organization.RCPs {
		if p.ARN == "" {
			want.Organization.RCPs[i].ARN = "arn:aws:organizations::" + want.Organization.ManagementAccount + ":policy/" + want.Organization.ID + "/resource_control_policy/p-" + p.Name
		}
	}
	got, err := Read(fstest.MapFS(write(want)))
	if err != nil {
		t.Fatal(err)
	}
	wantFiles, gotFiles := files(t, want), files(t, got)
	compared := 0
	for _, name := range slices.Sorted(maps.Keys(wantFiles)) {
		if path.Base(name) != "iam.json" {
			continue
		}
		compared++
		if wantFiles[name] != gotFiles[name] {
			t.Errorf("%s is another: %s", name, difference(wantFiles[name], gotFiles[name]))
		}
	}
	if compared < 10 {
		t.Errorf("compared %d accounts only", compared)
	}
	control := func(ps []snapshot.ControlPolicy) (out []string) {
		for _, p := range ps {
			targets := slices.Sorted(slices.Values(p.Targets))
			out = append(out, p.ARN+" "+p.Name+" "+strings.Join(targets, ",")+" "+string(p.Document.Policy.Document.Canonical()))
		}
		slices.Sort(out)
		return out
	}
	if w, g := control(want.Organization.SCPs), control(got.Organization.SCPs); !slices.Equal(w, g) {
		t.Errorf("SCPs: %s", difference(strings.Join(w, "\n"), strings.Join(g, "\n")))
	}
	resources := make(map[string]snapshot.Resource)
	for _, r := range got.Resources {
		resources[r.ARN] = r
	}
	for _, r := range want.Resources {
		g, ok := resources[r.ARN]
		switch {
		case !ok || g.Type != r.Type || g.Account != r.Account:
			t.Errorf("%s %s: got %s of %s", r.Type, r.ARN, g.Type, g.Account)
		case r.Policy.State == snapshot.Read && (g.Policy.State != snapshot.Read || string(document(g.Policy).(json.RawMessage)) != string(document(r.Policy).(json.RawMessage))):
			t.Errorf("%s has another policy", r.ARN)
		case r.Policy.State != snapshot.Read && g.Policy.State == snapshot.Read:
			t.Errorf("%s has a policy now", r.ARN)
		}
	}
}

func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(nothing)", "(nothing)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return "want " + a + "\n got " + b
		}
	}
	return "none"
}

package iamcollect

import (
	"cmp"
	"encoding/json"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/internal/snapshot"
)

func compare(a, b string) int { return cmp.Compare(a, b) }

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// readAccount reads the folder of one account.
func (r *reader) readAccount(dir, id, partition string) {
	a := r.account(id, partition)
	a.Source = snapshot.Source{File: dir}
	if r.b.Organization != nil && a.Kind == snapshot.UnknownKind {
		r.membership(a, dir)
	}
	r.readIAM(a, path.Join(dir, "iam"))
	s := services{reader: r, account: a}
	s.blockAccount = s.blocked(path.Join(dir, "s3-bpa.json"))
	entries, err := fs.ReadDir(r.fsys, dir)
	if err != nil {
		r.gap(snapshot.GapFile, dir, id, "the folder could not be read: "+err.Error(), dir)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case e.Name() == "iam":
		case e.Name() == "ram":
			s.readShares(name)
		case e.IsDir():
			s.walk(name)
		case strings.HasPrefix(e.Name(), "ecr-registry-policy."):
			s.registry(name)
		case e.Name() == "organization.json", e.Name() == "s3-bpa.json", path.Ext(name) != ".json":
		default:
			r.gap(snapshot.GapFile, name, id, "a file of an account that is not known; it was not read", name)
		}
	}
}

// membership decides about an account that the organisation's list does not have, by what the account itself said.
func (r *reader) membership(a *snapshot.Account, dir string) {
	var own struct{ OrganizationID string }
	if _, ok := r.decode(path.Join(dir, "organization.json"), a.ID, &own); ok && own.OrganizationID != "" {
		if strings.EqualFold(own.OrganizationID, r.b.Organization.ID) {
			a.Kind = snapshot.Member
			r.gap(snapshot.GapOrganization, a.ID, a.ID, "belongs to the organisation and is not in its accounts.json: its unit and control policies are not known", dir)
		} else {
			a.Kind = snapshot.External
		}
		return
	}
	r.gap(snapshot.GapOrganization, a.ID, a.ID, "has a folder and is not in the organisation's accounts.json: whether it belongs to the organisation is not known", dir)
}

// metadata is metadata.json of everything in IAM.
type metadata struct {
	ARN, Name, ID, Path string
	Created             string // RFC 3339; CreateDate in policies
	PermissionBoundary  string // ARN
	Audiences           []string
	URL                 string
	ValidUntil          string
	Region              string
	Version             any
}

// readIAM reads users, groups, roles, policies and identity providers. They come from one answer of AWS, which iam-collect takes whole or not at all, so that the account is known completely where all of it can be read.
func (r *reader) readIAM(a *snapshot.Account, dir string) {
	kinds, _ := r.dirs(dir, a.ID)
	if !slices.Contains(kinds, "role") && !slices.Contains(kinds, "user") {
		r.gap(snapshot.GapAccount, a.ID, a.ID, "has no folder iam/role and no iam/user: users, groups, roles and policies were not collected", dir)
		return
	}
	lost := false
	principals := []string{"user", "group", "role"}
	each := func(kind string, read func(dir string, m *metadata, at snapshot.Source)) {
		names, ok := r.dirs(path.Join(dir, kind), a.ID)
		lost = lost || !ok && slices.Contains(principals, kind)
		for _, name := range names {
			sub := path.Join(dir, kind, name)
			var m metadata
			at, ok := r.decode(path.Join(sub, "metadata.json"), a.ID, &m)
			if ok {
				_, err := arn.Parse(m.ARN)
				ok = err == nil
			}
			if !ok {
				lost = lost || slices.Contains(principals, kind)
				r.gap(snapshot.GapFile, sub, a.ID, "has no metadata.json with an ARN; the folder was not read", sub)
				continue
			}
			read(sub, &m, at)
		}
	}
	each("user", func(dir string, m *metadata, at snapshot.Source) {
		u := snapshot.User{Principal: r.principal(a, dir, m, at), AccessKeys: -1}
		var groups []string
		r.decode(path.Join(dir, "groups.json"), a.ID, &groups)
		for _, g := range groups {
			u.Groups = append(u.Groups, g[strings.LastIndexByte(g, '/')+1:])
		}
		if slices.Contains(u.Groups, "") {
			r.gap(snapshot.GapFile, u.ARN, a.ID, "is in a group whose ARN is not in the file", path.Join(dir, "groups.json"))
		}
		r.b.Users = append(r.b.Users, u)
	})
	each("group", func(dir string, m *metadata, at snapshot.Source) {
		p := r.principal(a, dir, m, at)
		r.b.Groups = append(r.b.Groups, snapshot.Group{ARN: p.ARN, UniqueID: p.UniqueID, Account: p.Account, Name: p.Name, Path: p.Path, Inline: p.Inline, Attached: p.Attached, Source: at})
	})
	each("role", func(dir string, m *metadata, at snapshot.Source) {
		role := snapshot.Role{Principal: r.principal(a, dir, m, at)}
		var there bool
		if role.Trust, there = r.document("trust policy", m.ARN, a.ID, path.Join(dir, "trust-policy.json")); !there {
			role.Trust = r.unread("trust policy", m.ARN, a.ID, "there is no trust-policy.json", at)
		}
		r.decode(path.Join(dir, "instance-profiles.json"), a.ID, &role.InstanceProfiles)
		r.b.Roles = append(r.b.Roles, role)
	})
	for _, kind := range []string{"policy", "aws/policy"} {
		each(kind, func(dir string, m *metadata, at snapshot.Source) {
			p := snapshot.ManagedPolicy{ARN: m.ARN, Account: a.ID}
			if arn.Account(m.ARN) == "aws" {
				p.Account = ""
			}
			var there bool
			if p.Document, there = r.document(m.ARN, m.ARN, a.ID, path.Join(dir, "current-policy.json")); !there {
				p.Document = r.unread(m.ARN, m.ARN, a.ID, "there is no current-policy.json", at)
			}
			r.b.Policies = append(r.b.Policies, p)
		})
	}
	for kind, of := range map[string]string{"oidc-provider": "oidc", "saml-provider": "saml"} {
		each(kind, func(dir string, m *metadata, at snapshot.Source) {
			p := snapshot.Provider{ARN: m.ARN, Type: of, Account: a.ID, URL: m.URL, Audiences: m.Audiences, ValidUntil: r.time(m.ValidUntil, m.ARN, a.ID, at), Source: at}
			r.b.Providers = append(r.b.Providers, p)
		})
	}
	if a.Inventoried = !lost; lost {
		r.gap(snapshot.GapAccount, a.ID, a.ID, "a part of iam/ could not be read: principals may exist that are not listed", dir)
	}
}

func (r *reader) time(text, subject, account string, at snapshot.Source) time.Time {
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: subject, Account: account, Reason: "expected a time, found " + text, Source: at})
	}
	return t
}

// principal reads what users, groups and roles have in common.
func (r *reader) principal(a *snapshot.Account, dir string, m *metadata, at snapshot.Source) snapshot.Principal {
	p := snapshot.Principal{ARN: m.ARN, UniqueID: m.ID, Account: a.ID, Name: cmp.Or(m.Name, m.ARN[strings.LastIndexByte(m.ARN, '/')+1:]), Path: m.Path, Created: r.time(m.Created, m.ARN, a.ID, at), Source: at}
	var attached []string
	if _, ok := r.decode(path.Join(dir, "managed-policies.json"), a.ID, &attached); !ok && r.exists(path.Join(dir, "managed-policies.json")) {
		r.gap(snapshot.GapPolicy, m.ARN, a.ID, "which managed policies are attached could not be read", path.Join(dir, "managed-policies.json"))
	}
	for _, policy := range attached {
		p.Attached = append(p.Attached, snapshot.Attachment{Name: policy[strings.LastIndexByte(policy, '/')+1:], ARN: policy})
	}
	if m.PermissionBoundary != "" {
		p.Boundary = &snapshot.Attachment{Name: m.PermissionBoundary[strings.LastIndexByte(m.PermissionBoundary, '/')+1:], ARN: m.PermissionBoundary}
	}
	p.Inline = r.inline(m.ARN, a.ID, path.Join(dir, "inline-policies.json"))
	r.decode(path.Join(dir, "tags.json"), a.ID, &p.Tags)
	return p
}

func (r *reader) exists(file string) bool {
	_, err := fs.Stat(r.fsys, file)
	return err == nil
}

// inline reads inline-policies.json: a list of names and documents. What cannot be read of it is a policy that is not known.
func (r *reader) inline(subject, account, file string) []snapshot.Document {
	f, err := r.fsys.Open(file)
	if err != nil {
		if r.exists(file) {
			return []snapshot.Document{r.unread("inline policies", subject, account, "the file could not be opened: "+err.Error(), snapshot.Source{File: file})}
		}
		return nil
	}
	defer f.Close()
	var out []snapshot.Document
	t := snapshot.NewText(file, f)
	err = t.List(func() error {
		name, at := "", t.Here()
		var text []byte
		if err := t.Object(func(key string) error {
			value, here, err := t.Value()
			switch {
			case err != nil:
				return err
			case strings.EqualFold(key, "PolicyName"):
				return json.Unmarshal(value, &name)
			case strings.EqualFold(key, "PolicyDocument"):
				text, at = slices.Clone(value), here
			}
			return nil
		}); err != nil {
			return err
		}
		if text == nil {
			out = append(out, r.unread(name, subject, account, "has no document", at))
		} else {
			out = append(out, r.policy(name, subject, account, text, at))
		}
		return nil
	})
	if err == nil {
		err = t.End()
	}
	if err != nil {
		g := t.Gap(err)
		out = append(out, r.unread("inline policies", subject, account, g.Reason, g.Source))
	}
	return out
}

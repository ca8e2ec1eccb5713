package terraform

import (
	"fmt"
	"strings"

	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

func describeDocument(d snapshot.Document) string {
	name := d.Name
	if strings.HasPrefix(d.Source.File, "code/") {
		d.Name = fmt.Sprintf("%s (%s:%d:%d)", name, d.Source.File, d.Source.Line, d.Source.Column)
	}
	switch d.State {
	case snapshot.Read:
		return d.Name + " " + string(d.Policy.Document.Canonical())
	case snapshot.None:
		return d.Name + " none"
	}
	if d.Problem == "" {
		return d.Name + " left"
	}
	return d.Name + " UNRESOLVED (" + d.Problem + ")"
}

func describePrincipal(kind string, p snapshot.Principal) string {
	s := fmt.Sprintf("%s %s account=%s name=%s path=%s", kind, p.ARN, p.Account, p.Name, p.Path)
	if p.Boundary != nil {
		s += " boundary=" + p.Boundary.ARN
	}
	if len(p.Tags) > 0 {
		s += fmt.Sprint(" tags=", p.Tags)
	}
	return s
}

func describeResource(kind string, r snapshot.Resource) string {
	s := fmt.Sprintf("%s %s %s account=%s region=%s", kind, r.Type, r.ARN, r.Account, r.Region)
	if len(r.Tags) > 0 {
		s += fmt.Sprint(" tags=", r.Tags)
	}
	if r.Attributes.PublicAccessBlock != "" {
		s += " publicAccessBlock=" + r.Attributes.PublicAccessBlock
	}
	if r.Attributes.SSEKMSKey != "" {
		s += " sseKmsKey=" + r.Attributes.SSEKMSKey
	}
	if len(r.Attributes.Other) > 0 {
		s += fmt.Sprint(" ", r.Attributes.Other)
	}
	return s + " " + describeDocument(r.Policy)
}

// describePart is a part on one line.
func describePart(part change.Part) string {
	switch p := part.(type) {
	case change.Role:
		s := describePrincipal("role", p.Principal)
		if p.MaxSession > 0 {
			s += " max=" + p.MaxSession.String()
		}
		return s + " " + describeDocument(p.Trust)
	case change.User:
		return describePrincipal("user", p.Principal)
	case change.Group:
		return fmt.Sprintf("group %s account=%s name=%s path=%s", p.ARN, p.Account, p.Name, p.Path)
	case change.Inline:
		return "inline " + p.Owner + " " + describeDocument(p.Document)
	case change.Attached:
		return "attached " + p.Owner + " " + p.Policy.ARN + " (" + p.Policy.Name + ")"
	case change.Exclusive:
		return fmt.Sprintf("exclusive %s inline=%t complete=%t keep=%s", p.Owner, p.Inline, p.Complete, strings.Join(p.Keep, ","))
	case change.Membership:
		return "member " + p.User + " of " + p.Group
	case change.ManagedPolicy:
		return "policy " + p.ARN + " account=" + p.Account + " " + describeDocument(p.Document)
	case change.Resource:
		return describeResource("resource", p.Resource)
	case change.ResourcePolicy:
		return describeResource("policy of", p.Resource)
	case change.ResourceStatement:
		return describeResource("statement "+p.ID+" of", p.Resource)
	case change.Provider:
		return fmt.Sprintf("provider %s %s account=%s url=%s audiences=%s", p.Type, p.ARN, p.Account, p.URL, strings.Join(p.Audiences, ","))
	case change.KMSGrant:
		return fmt.Sprintf("grant %s %s to %s operations=%s constraints=%v", p.Key, p.ID, p.Grantee, strings.Join(p.Operations, ","), p.Constraints)
	case change.Share:
		return fmt.Sprintf("share %s %s owner=%s with=%s external=%t resources=%s %v", p.Kind, p.ARN, p.Owner, strings.Join(p.With, ","), p.AllowExternal, strings.Join(p.Resources, ","), p.Attributes)
	case change.ControlPolicy:
		return fmt.Sprintf("control policy %s %s rcp=%t %s", p.Name, p.ARN, p.RCP, describeDocument(p.Document))
	case change.ControlTarget:
		return "control policy " + p.Policy + " on " + p.Target
	case change.Placed:
		return p.ID + " below " + p.Parent
	}
	return fmt.Sprintf("%T", part)
}

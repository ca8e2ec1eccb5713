package registry

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"drawbridge/iam/cond"
)

// Write writes entries and vendors as YAML documents, fields in the order of the design, empty ones left out. What Missing names of an
// entry is marked by a comment for the person who must supply it. Two runs write the same bytes, and Parse reads them back.
func Write(w io.Writer, r *Registry) error {
	var b bytes.Buffer
	first := true
	write := func(n *yaml.Node) error {
		if !first {
			b.WriteString("---\n")
		}
		first = false
		e := yaml.NewEncoder(&b)
		e.SetIndent(2)
		if err := e.Encode(n); err != nil {
			return fmt.Errorf("writing the registry: %w", err)
		}
		return e.Close()
	}
	for i := range r.Vendors {
		if err := write(vendorNode(&r.Vendors[i])); err != nil {
			return err
		}
	}
	for i := range r.Entries {
		if err := write(entryNode(&r.Entries[i])); err != nil {
			return err
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// mapping builds a YAML mapping in order.
type mapping struct{ node *yaml.Node }

func newMapping() mapping { return mapping{&yaml.Node{Kind: yaml.MappingNode}} }

func scalar(value string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(value)
	return n
}

func (m mapping) add(key string, value *yaml.Node) {
	m.node.Content = append(m.node.Content, scalar(key), value)
}

func (m mapping) text(key, value string) {
	if value != "" {
		m.add(key, scalar(value))
	}
}

// plain adds a value that YAML reads as something else than text: a date, a number, a truth value.
func (m mapping) plain(key, value, tag string) {
	if value != "" {
		m.add(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value})
	}
}

func (m mapping) texts(key string, values []string) {
	if len(values) == 0 {
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, v := range values {
		list.Content = append(list.Content, scalar(v))
	}
	if len(values) == 1 && len(values[0]) < 60 {
		list.Style = yaml.FlowStyle
	}
	m.add(key, list)
}

// child adds a mapping that has anything in it; flow writes it in one line.
func (m mapping) child(key string, flow bool, fill func(mapping)) {
	c := newMapping()
	fill(c)
	if len(c.node.Content) == 0 {
		return
	}
	if flow {
		c.node.Style = yaml.FlowStyle
	}
	m.add(key, c.node)
}

// todo adds a field that a person must fill in.
func (m mapping) todo(key, what string) {
	n := scalar("")
	n.Style = yaml.DoubleQuotedStyle
	n.LineComment = "TODO: " + what
	m.add(key, n)
}

func (m mapping) block(key string, b cond.Block) {
	m.child(key, false, func(c mapping) {
		var operators []string
		for i := range b {
			if !slices.Contains(operators, b[i].Operator) {
				operators = append(operators, b[i].Operator)
			}
		}
		for _, o := range operators {
			c.child(o, false, func(keys mapping) {
				for i := range b {
					if b[i].Operator == o {
						keys.texts(b[i].Key, b[i].Constraint().Values())
					}
				}
			})
		}
	})
}

func header(kind string) mapping {
	m := newMapping()
	m.text("apiVersion", APIVersion)
	m.text("kind", kind)
	return m
}

func vendorNode(v *Vendor) *yaml.Node {
	m := header("Vendor")
	m.child("metadata", false, func(c mapping) { c.text("name", v.Name) })
	spec := newMapping()
	spec.texts("accounts", v.Accounts)
	spec.text("status", v.Status)
	spec.child("contract", true, func(c mapping) {
		c.plain("from", v.From.String(), "!!timestamp")
		c.plain("until", v.Until.String(), "!!timestamp")
	})
	if v.Contact == "" {
		spec.todo("contact", "whom to call")
	} else {
		spec.text("contact", v.Contact)
	}
	spec.text("evidence", v.Evidence)
	m.add("spec", spec.node)
	return m.node
}

func entryNode(e *Entry) *yaml.Node {
	m := header("Trust")
	m.child("metadata", false, func(c mapping) {
		c.text("name", e.Name)
		if e.Owner == "" {
			c.todo("owner", "a person or team that answers")
		} else {
			c.text("owner", e.Owner)
		}
		c.text("ticket", e.Ticket)
	})
	s := newMapping()
	if e.Purpose == "" {
		s.todo("purpose", "why it exists")
	} else {
		s.text("purpose", e.Purpose)
	}
	s.text("category", string(e.Category))
	s.child("from", false, func(c mapping) {
		c.texts("principals", e.From.Principals)
		c.texts("services", e.From.Services)
		if o := e.From.OIDC; o != nil {
			c.child("oidc", false, func(c mapping) {
				c.text("issuer", o.Issuer)
				c.text("audience", o.Audience)
				c.child("claims", false, func(c mapping) {
					for _, claim := range slices.Sorted(maps.Keys(o.Claims)) {
						c.text(claim, o.Claims[claim])
					}
				})
			})
		}
	})
	s.child("to", false, func(c mapping) {
		c.text("role", e.To.Role)
		c.texts("resources", e.To.Resources)
		c.text("service", e.To.Service)
	})
	s.child("allow", false, func(c mapping) {
		c.texts("actions", e.Actions)
		c.texts("resources", e.Resources)
	})
	s.block("trustConditions", e.TrustConditions)
	s.block("context", e.Context)
	s.text("boundary", e.Boundary)
	s.child("session", true, func(c mapping) {
		c.text("max", FormatSpan(e.Session.Max))
		c.text("chaining", e.Session.Chaining)
		c.child("tags", true, func(c mapping) {
			for _, name := range slices.Sorted(maps.Keys(e.Session.Tags)) {
				c.add(name, scalar(e.Session.Tags[name]))
			}
		})
	})
	s.child("use", true, func(c mapping) {
		c.text("every", FormatSpan(e.Use.Every))
		c.text("grace", FormatSpan(e.Use.Grace))
		c.text("needs", FormatSpan(e.Use.Needs))
	})
	s.text("vendor", e.Vendor)
	s.text("dataClass", e.DataClass)
	s.text("identity", e.Identity)
	s.child("approval", false, func(c mapping) {
		if e.Approval.Required > 0 {
			c.plain("required", fmt.Sprint(e.Approval.Required), "!!int")
		}
		if e.Approval.Automatic {
			c.plain("automatic", "true", "!!bool")
		}
		c.texts("approvers", e.Approval.Approvers)
		if e.Approval.Denials > 0 {
			c.plain("denials", fmt.Sprint(e.Approval.Denials), "!!int")
		}
		c.text("within", FormatSpan(e.Approval.Within))
		c.text("requestedBy", e.RequestedBy)
		c.text("approvedBy", e.ApprovedBy)
	})
	if e.BreakGlass {
		s.plain("breakGlass", "true", "!!bool")
	}
	s.plain("lastDrill", e.LastDrill.String(), "!!timestamp")
	if e.Expires.IsZero() {
		s.todo("expires", "the last day, YYYY-MM-DD")
	} else {
		s.plain("expires", e.Expires.String(), "!!timestamp")
	}
	s.child("review", true, func(c mapping) {
		c.text("every", FormatSpan(e.Review.Every))
		c.plain("last", e.Review.Last.String(), "!!timestamp")
		c.texts("by", e.Review.By)
		if e.Review.Reviewers > 0 {
			c.plain("reviewers", fmt.Sprint(e.Review.Reviewers), "!!int")
		}
		c.texts("escalate", e.Review.Escalate)
		c.text("quarantine", FormatSpan(e.Review.Quarantine))
	})
	m.add("spec", s.node)
	m.node.HeadComment = strings.TrimSpace(e.Comment)
	return m.node
}

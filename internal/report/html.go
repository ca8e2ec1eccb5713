package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"drawbridge/internal/access"
	"drawbridge/internal/diagram"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageCSS string

// How much the page lists, so that a browser opens it; the JSON form has everything.
const (
	maxRows     = 1500 // trusts
	maxFindings = 1000 // open findings
	maxTargets  = 20   // critical targets with a picture of the ways to them
)

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"plural":     plural,
	"list":       list,
	"session":    session,
	"upper":      strings.ToUpper,
	"relation":   relationWord,
	"verdict":    verdictWord,
	"meaning":    gapMeaning,
	"place":      place,
	"join":       strings.Join,
	"incomplete": func() string { return pathsIncomplete },
}).Parse(pageText))

// page is what the template shows.
type page struct {
	*Report
	CSS      template.CSS
	Policy   string // of content: this style sheet and nothing else
	Headline string
	Lead     string
	Map      template.HTML
	MapNote  string
	Targets  []target
	Open     []*Finding
	Unsure   []*Finding
	Known    []*Finding
	Accepted []*Finding
	Across   []*Trust // from outside and other accounts
	Services []*Trust
	// What is beyond maxRows, maxFindings and maxTargets.
	HiddenTrusts, HiddenFindings, HiddenWays int
}

// target is something critical, and the ways to it.
type target struct {
	ARN     string
	Picture template.HTML
	Note    string
	Paths   []*Path
}

// Who and Terms are the cells of a trust's row.
func (t *Trust) Who() string   { return t.Grantee.who() }
func (t *Trust) Terms() string { return t.condition() }

// Place and What are the parts of evidence.
func (e *Evidence) Place() string { return e.place() }
func (e *Evidence) What() string  { return e.what() }

// DisplayName is the account's name, or its id.
func (a *Account) DisplayName() string { return a.name() }

// WriteHTML writes one page that needs nothing beside itself: no script, no font, no picture from elsewhere.
func WriteHTML(w io.Writer, r *Report) error {
	css := pageCSS + diagram.Style
	sum := sha256.Sum256([]byte(css))
	p := page{
		Report: r, CSS: template.CSS(css), Headline: headline(r), Lead: lead(r),
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
	}
	picture := r.Map()
	p.MapNote = picture.Note
	var err error
	if p.Map, err = svg(picture); err != nil {
		return err
	}
	for i := range r.Findings {
		switch f := &r.Findings[i]; {
		case f.Open() && len(p.Open) >= maxFindings:
			p.HiddenFindings++
		case f.Open():
			p.Open = append(p.Open, f)
		case f.Accepted != nil:
			p.Accepted = append(p.Accepted, f)
		case f.Known:
			p.Known = append(p.Known, f)
		default:
			p.Unsure = append(p.Unsure, f)
		}
	}
	for i := range r.Trusts {
		t := &r.Trusts[i]
		switch {
		case !t.CrossAccount:
		case len(p.Across)+len(p.Services) >= maxRows:
			p.HiddenTrusts++
		case t.Grantee.Relation == string(access.AWSService):
			p.Services = append(p.Services, t)
		default:
			p.Across = append(p.Across, t)
		}
	}
	for i := range r.Paths {
		path := &r.Paths[i]
		if n := len(p.Targets); n == 0 || p.Targets[n-1].ARN != path.To {
			if n == maxTargets || p.HiddenWays > 0 {
				p.HiddenWays++
				continue
			}
			t := target{ARN: path.To}
			ways := r.Ways(path.To)
			t.Note = ways.Note
			if t.Picture, err = svg(ways); err != nil {
				return err
			}
			p.Targets = append(p.Targets, t)
		}
		last := &p.Targets[len(p.Targets)-1]
		last.Paths = append(last.Paths, path)
	}
	return pageTemplate.Execute(w, &p)
}

func svg(p *diagram.Picture) (template.HTML, error) {
	var b bytes.Buffer
	if err := p.WriteSVG(&b); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil
}

// lead is the result in two sentences, for those who read no further.
func lead(r *Report) string {
	s := &r.Summary
	outside := 0
	for _, c := range s.Trusts.ByRelation {
		if c.Name == string(access.External) || c.Name == string(access.Public) || c.Name == string(access.Federated) || c.Name == string(access.RelationUnknown) {
			outside += c.Count
		}
	}
	where := "from outside the organisation"
	if r.Organization == nil {
		where = "from where nobody knows whether it is part of the organisation"
	}
	text := fmt.Sprintf("Looked at %s with %s. Found %s across the borders of accounts, %d of them %s",
		plural(s.Accounts.Total, "account"), plural(s.Roles, "role"), plural(s.Trusts.CrossAccount, "trust"), outside, where)
	if n := len(r.Paths); n > 0 {
		text += ", and " + plural(n, "way") + " from outside to what is tagged as critical"
	}
	return text + "."
}

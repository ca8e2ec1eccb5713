package snapshot

import (
	"time"

	"drawbridge/iam/arn"
)

// organizationFile is organization.json.
const organizationFile = "organization.json"

// listedAccount is an account as organization.json describes it.
type listedAccount struct {
	Account
	inventoried *bool // what the file says, nil where it does not say
}

// organizationFacts is what organization.json says.
type organizationFacts struct {
	part
	collected    time.Time
	organization *Organization
	accounts     []listedAccount
}

// readOrganization reads organization.json. The file is small (one line for each account, a few dozen policies), so it
// is decoded as one element.
func (rd *reader) readOrganization() *organizationFacts {
	o := new(organizationFacts)
	if !rd.has(organizationFile) {
		o.facts.unknownOrganization()
		return o
	}
	rd.readFile(&o.part, organizationFile, func(t *textReader) *syntaxError {
		text, at, err := t.value()
		if err != nil && len(text) == 0 {
			return err
		}
		e := &element{cursor: newCursor(text, at), documents: rd.documents, file: organizationFile}
		o.read(e)
		if err != nil {
			// The file ends early. What stands in front of that is kept, and the end of the file is what to report.
			e.err = nil
			e.i = len(e.text)
			e.finish(&o.part, "", "")
			return err
		}
		e.finish(&o.part, "", "")
		return t.nothingMore(nil)
	})
	// A file that broke off before a part has not said that there is none.
	o.facts.Organization = o.organization
	o.facts.unknownOrganization()
	o.facts.Organization = nil
	return o
}

func (o *organizationFacts) read(e *element) {
	versionAt, version := e.here(), int64(0)
	org := func() *Organization {
		if o.organization == nil {
			o.organization = new(Organization)
		}
		return o.organization
	}
	e.object("organization.json", func(key []byte) {
		switch string(key) {
		case "version":
			versionAt = e.here()
			version, _ = e.integer("version")
		case "collected":
			o.collected = e.time("collected")
		case "id":
			org().ID = e.string("id")
		case "managementAccount":
			at := e.here()
			if org().ManagementAccount = e.string("managementAccount"); !arn.IsAccountID(o.organization.ManagementAccount) && o.organization.ManagementAccount != "" {
				e.note(at, "managementAccount: expected 12 digits, found "+quote(o.organization.ManagementAccount))
			}
		case "accounts":
			e.list("accounts", func() { o.readAccount(e) })
		case "ous":
			org()
			e.list("ous", func() { o.readUnit(e) })
		case "scps":
			org().SCPs = e.controlPolicies("scps")
		case "rcps":
			org().RCPs = e.controlPolicies("rcps")
		default:
			e.unknown("organization.json", key)
		}
	})
	if e.err != nil {
		return
	}
	switch {
	case version > Version:
		e.note(versionAt, "version: this program reads version 1; what newer versions add is not read")
	case version != Version:
		e.note(versionAt, "version: expected 1; the files are read as version 1")
	}
}

var accountKinds = map[string]AccountKind{"management": Management, "member": Member, "vendor": Vendor, "external": External}

func (o *organizationFacts) readAccount(e *element) {
	at := e.here()
	a := listedAccount{Account: Account{Source: e.source(at)}}
	ok := e.object("accounts", func(key []byte) {
		switch string(key) {
		case "id":
			a.ID = e.string("id")
		case "name":
			a.Name = e.string("name")
		case "kind":
			at := e.here()
			text := e.string("kind")
			var known bool
			if a.Kind, known = accountKinds[text]; !known {
				e.note(at, "kind: expected management, member, vendor or external, found "+quote(text))
			}
		case "partition":
			at := e.here()
			if a.Partition = e.interned("partition"); a.Partition != "" && !isPartition(a.Partition) {
				e.note(at, "partition: expected aws, aws-cn, aws-us-gov or another of AWS, found "+quote(a.Partition))
				a.Partition = ""
			}
		case "ou":
			a.UnitPath = e.interned("ou")
		case "env":
			a.Environment = e.interned("env")
		case "tags":
			a.Tags = e.tagObject()
		case "inventoried":
			if b, ok := e.bool("inventoried"); ok {
				a.inventoried = &b
			}
		default:
			e.unknown("an account", key)
		}
	})
	if !ok {
		return
	}
	if !arn.IsAccountID(a.ID) {
		e.note(at, "accounts: expected an id of 12 digits, found "+quote(a.ID)+"; the account was left out")
		return
	}
	o.accounts = append(o.accounts, a)
}

// isPartition reports whether a word has the form of a partition: aws, aws-cn, aws-us-gov, and those that AWS adds.
func isPartition(s string) bool { return s == "aws" || len(s) > 4 && s[:4] == "aws-" }

func (o *organizationFacts) readUnit(e *element) {
	at := e.here()
	var u Unit
	ok := e.object("ous", func(key []byte) {
		switch string(key) {
		case "path":
			u.Path = e.interned("path")
		case "name":
			u.Name = e.string("name")
		default:
			e.unknown("an OU", key)
		}
	})
	if ok && u.Path == "" {
		e.note(at, "ous: expected a path, found none; the OU was left out")
		return
	}
	if ok {
		o.organization.Units = append(o.organization.Units, u)
	}
}

// controlPolicies reads scps or rcps. The result is nil only where the list could not be read: a policy in it that could
// not be read is kept unresolved, for it may deny anything.
func (e *element) controlPolicies(field string) []ControlPolicy {
	if e.kind() != '[' {
		e.mismatch(field, "a list")
		return nil
	}
	out := []ControlPolicy{}
	e.list(field, func() {
		at := e.here()
		var p ControlPolicy
		document, problem := -1, ""
		e.object(field, func(key []byte) {
			switch string(key) {
			case "name":
				p.Name = e.string("name")
			case "arn":
				p.ARN = e.string("arn")
			case "targets":
				p.Targets = e.strings("targets")
			case "document":
				document = e.pass()
			case "error":
				problem = e.string("error")
			default:
				e.unknown(field, key)
			}
		})
		if e.err != nil {
			return
		}
		if p.Name == "" {
			e.note(at, field+": expected a name, found none")
		}
		gaps := len(e.gaps)
		p.Document = e.documentAt(p.Name, document, problem, at)
		for i := range e.gaps[gaps:] {
			e.gaps[gaps+i].Subject = field + " " + p.Name
		}
		out = append(out, p)
	})
	if e.err != nil {
		return nil
	}
	return out
}

package registry

import (
	"bytes"
	"slices"
	"strings"

	"drawbridge/iam/eval"
)

// Difference is one entry or vendor that another state of the registry has, has not, or has otherwise.
type Difference struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
	How  string `json:"how"` // added, removed, changed
	// Widens says what may happen that could not before; nothing where it is no wider.
	Widens []string `json:"widens,omitempty"`
}

// Compare tells how one state of the registry differs from an earlier one, by names. A new entry widens, whatever it says: there was none.
func Compare(before, after *Registry, engine eval.Evaluator) []Difference {
	var out []Difference
	for i := range after.Entries {
		e := &after.Entries[i]
		was := before.Entry(e.Name)
		switch {
		case was == nil:
			out = append(out, Difference{TrustKind, e.Name, "added", []string{"it is new"}})
		case !sameText(was, e):
			out = append(out, Difference{TrustKind, e.Name, "changed", Widens(was, e, engine)})
		}
	}
	for i := range before.Entries {
		if name := before.Entries[i].Name; after.Entry(name) == nil {
			out = append(out, Difference{Kind: TrustKind, Name: name, How: "removed"})
		}
	}
	for i := range after.Vendors {
		v := &after.Vendors[i]
		was := before.Vendor(v.Name)
		switch {
		case was == nil:
			out = append(out, Difference{VendorKind, v.Name, "added", nil}) // by itself it lets nobody in
		case !sameVendor(was, v):
			out = append(out, Difference{VendorKind, v.Name, "changed", vendorWidens(was, v)})
		}
	}
	for i := range before.Vendors {
		if name := before.Vendors[i].Name; after.Vendor(name) == nil {
			out = append(out, Difference{Kind: VendorKind, Name: name, How: "removed"})
		}
	}
	slices.SortStableFunc(out, func(a, b Difference) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Entry is the entry of a name, nil where there is none.
func (r *Registry) Entry(name string) *Entry {
	for i := range r.Entries {
		if r.Entries[i].Name == name {
			return &r.Entries[i]
		}
	}
	return nil
}

// sameText compares all that an entry says, as it is written.
func sameText(a, b *Entry) bool {
	text := func(e *Entry) []byte {
		c := *e
		c.Comment = ""
		var out bytes.Buffer
		if err := Write(&out, &Registry{Entries: []Entry{c}}); err != nil {
			return nil
		}
		return out.Bytes()
	}
	x, y := text(a), text(b)
	return x != nil && bytes.Equal(x, y)
}

func sameVendor(a, b *Vendor) bool {
	x, y := *a, *b
	x.Place, y.Place = Place{}, Place{}
	return x.Name == y.Name && slices.Equal(x.Accounts, y.Accounts) && x.Status == y.Status && x.From == y.From && x.Until == y.Until && x.Contact == y.Contact && x.Evidence == y.Evidence
}

// vendorWidens says what a vendor's entry lets happen longer or for more.
func vendorWidens(before, after *Vendor) []string {
	var out []string
	if before.Status == "ended" && after.Status != "ended" {
		out = append(out, "its contract had ended, and has not any more")
	}
	switch {
	case !before.Until.IsZero() && after.Until.IsZero():
		out = append(out, "its contract does not end any more")
	case !before.Until.IsZero() && after.Until.After(before.Until.Time):
		out = append(out, "its contract ends on "+after.Until.String()+", and ended on "+before.Until.String())
	}
	for _, a := range after.Accounts {
		if !slices.Contains(before.Accounts, a) {
			out = append(out, "it has the account "+a)
		}
	}
	return out
}

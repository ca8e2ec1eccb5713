package ingest

import (
	"os"
	"strings"
	"testing"
	"time"

	"drawbridge/internal/snapshot"
)

func TestParseVendors(t *testing.T) {
	vendors, err := ParseVendors("vendors.yaml", []byte(`# our vendors
- name: 'Watchtower'
  source: ['https://docs.watchtower.example/aws']
  accounts: ['999988887777', 012345678901]
- name: Load balancer logs
  type: aws
  accounts: ["555566667777"]
- name: Drawwell
  accounts: ['444455556666']
  enabled: false
  deprecated_date: 2025-06-30
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(vendors) != 3 || vendors[0].Name != "Drawwell" || vendors[1].Name != "Load balancer logs" || vendors[2].Name != "Watchtower" {
		t.Fatalf("vendors %+v", vendors)
	}
	if d := vendors[0]; d.Status != snapshot.VendorEnded || !d.Ended.Equal(time.Date(2025, 6, 30, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("Drawwell: %+v, want ended on 2025-06-30", d)
	}
	if !vendors[1].AWS || vendors[2].AWS {
		t.Errorf("only the load balancer logs are AWS's own: %+v", vendors)
	}
	if w := vendors[2]; strings.Join(w.Accounts, " ") != "012345678901 999988887777" || len(w.Source) != 1 || w.Status != snapshot.VendorActive {
		t.Errorf("Watchtower: %+v; the leading zero must stay", w)
	}
}

func TestParseVendorsProblems(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no list", "name: x", "v.yaml:1:"},
		{"empty", "", "found nothing"},
		{"no name", "- accounts: ['111122223333']", "v.yaml:1:11: expected a name"},
		{"no accounts", "- name: x", "expected accounts"},
		{"short account", "- name: x\n  accounts:\n  - '123'", `v.yaml:3:5: accounts: expected 12 digits, found "123"`},
		{"unknown field", "- name: x\n  accounts: ['111122223333']\n  contact: me", `v.yaml:3:3: unknown field "contact"`},
		{"date without enabled", "- name: x\n  accounts: ['111122223333']\n  deprecated_date: 2025-01-01", "must have enabled: false"},
		{"bad date", "- name: x\n  accounts: ['111122223333']\n  enabled: false\n  deprecated_date: soon", "v.yaml:4:20: deprecated_date: expected a date"},
		{"bad type", "- name: x\n  accounts: ['111122223333']\n  type: gcp", "expected aws"},
		{"bad enabled", "- name: x\n  accounts: ['111122223333']\n  enabled: maybe", "expected true or false"},
		{"item is text", "- x", "expected a vendor"},
		{"accounts is text", "- name: x\n  accounts: '111122223333'", "v.yaml:2:13: accounts: expected a list"},
		{"no YAML", "- name: [", "v.yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			vendors, err := ParseVendors("v.yaml", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, vendors %v; want %q", err, vendors, tt.want)
			}
		})
	}
}

// The published list lies beside the repository, and is not part of it.
func TestPublishedVendorList(t *testing.T) {
	const name = "../../../shared/data/known-aws-accounts/accounts.yaml"
	if _, err := os.Stat(name); err != nil {
		t.Skipf("the published vendor list is not beside this repository: %v", err)
	}
	vendors, err := OpenVendors(name)
	if err != nil {
		t.Fatal(err)
	}
	accounts, aws := 0, 0
	for _, v := range vendors {
		accounts += len(v.Accounts)
		if v.AWS {
			aws++
		}
	}
	if len(vendors) < 200 || accounts < 400 || aws == 0 {
		t.Errorf("%d vendors with %d accounts, %d of them AWS's own", len(vendors), accounts, aws)
	}
	t.Logf("%d vendors with %d accounts, %d of them AWS's own", len(vendors), accounts, aws)
}

func FuzzParseVendors(f *testing.F) {
	f.Add([]byte("- name: x\n  accounts: ['111122223333']\n"))
	f.Add([]byte("- &a {name: x, accounts: [*a]}"))
	f.Add([]byte("? [a]\n: b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		vendors, err := ParseVendors("v.yaml", data)
		if (err == nil) == (len(vendors) == 0) {
			t.Errorf("%d vendors and error %v", len(vendors), err)
		}
	})
}

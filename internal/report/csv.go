package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// WriteCSV writes one row a finding, with its first evidence.
func WriteCSV(w io.Writer, r *Report) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"severity", "rule", "title", "status", "account", "subject", "grantee", "reason", "remedy", "document", "statement", "file", "line", "accepted by", "known", "fingerprint"}}
	for i := range r.Findings {
		f := &r.Findings[i]
		row := []string{f.Severity, f.Rule, f.Title, f.Status, f.Account, f.Subject, f.Grantee, f.Reason, f.Remedy, "", "", "", "", "", strconv.FormatBool(f.Known), f.Fingerprint}
		if len(f.Evidence) > 0 {
			e := &f.Evidence[0]
			row[9], row[11] = e.Document, e.File
			if e.Statement != nil {
				row[10] = strconv.Itoa(*e.Statement + 1)
			}
			if e.Line > 0 {
				row[12] = strconv.Itoa(e.Line)
			}
		}
		if f.Accepted != nil {
			row[13] = f.Accepted.Owner
		}
		for j := range row {
			row[j] = cell(row[j])
		}
		rows = append(rows, row)
	}
	return c.WriteAll(rows)
}

// cell keeps a spreadsheet from taking a value as a formula: names in policies are written by others.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

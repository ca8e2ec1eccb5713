package report

import (
	"encoding/json"
	"io"
)

// WriteJSON writes the versioned contract of docs/reference/report.md.
func WriteJSON(w io.Writer, r *Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

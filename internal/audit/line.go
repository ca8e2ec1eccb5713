package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Line is the record as a line of an export, without the line's end: JSON with the fields in their order, and the body byte by byte as it was hashed.
func (r *Record) Line() ([]byte, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("record %d cannot be written: %w", r.Seq, err)
	}
	return line, nil
}

// ParseLine reads a line of an export. A line that says the same in other words is refused: what a reader sees must be what was hashed.
func ParseLine(line []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("this is no record: %w", err)
	}
	again, err := r.Line()
	if err != nil {
		return r, err
	}
	if !bytes.Equal(line, again) {
		at := 0
		for at < len(line) && at < len(again) && line[at] == again[at] {
			at++
		}
		return r, fmt.Errorf("record %d is not as an export writes it, from byte %d of the line on: it was written anew or changed", r.Seq, at+1)
	}
	return r, nil
}

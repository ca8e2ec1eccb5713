package cloudformation

import (
	"bytes"
	"encoding/json"
	"regexp"
)

// Form is what a text is to this package.
type Form uint8

const (
	Other     Form = iota
	Template       // also what get-template prints
	ChangeSet      // what describe-change-set prints
)

// MaxSize is how many bytes of a file are read. AWS takes templates of 1 MB.
const MaxSize = maxSize

// FormOf tells a template or a change set by its first keys, also where the rest of it cannot be read. It does not tell of anything else what it is.
func FormOf(data []byte) Form {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if len(data) == 0 || data[0] != '{' {
		for _, m := range yamlKey.FindAllSubmatch(data, -1) {
			if f := formOfKey(string(m[1])); f != Other {
				return f
			}
		}
		return Other
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil {
		return Other
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			break
		}
		name, _ := key.(string)
		if f := formOfKey(name); f != Other {
			return f
		}
		var skip json.RawMessage
		if d.Decode(&skip) != nil {
			break
		}
	}
	return Other
}

var yamlKey = regexp.MustCompile(`(?m)^["']?(AWSTemplateFormatVersion|Resources|TemplateBody|ChangeSetId|Changes)["']?[ \t]*:`)

func formOfKey(name string) Form {
	switch name {
	case "AWSTemplateFormatVersion", "Resources", "TemplateBody":
		return Template
	case "ChangeSetId", "Changes":
		return ChangeSet
	}
	return Other
}

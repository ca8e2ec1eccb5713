package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
)

// packageOf is a made-up package with one service.
func packageOf() map[string]string {
	return map[string]string{
		"package.json":                   `{"name": "made-up", "version": "1.2.3", "updatedAt": "2026-01-02T03:04:05Z"}`,
		"data/rcpSupportedServices.json": `["tea", "coffee"]`,
		"data/services.json":             `["tea"]`,
		"dist/cjs/globalConditionKeys.js": "[{\n key: 'aws:PrincipalTag/tag-key',\n category: 'principal',\n type: 'String',\n description: ''\n}, " +
			"{ key: 'tea:Guest', category: 'session', type: 'ARN' }]",
		"data/conditionKeys/tea.json": `{"tea:sort/<key>": {"key": "tea:Sort/<key>", "type": "ArrayOfString"}, "tea:guest": {"key": "tea:GUEST", "type": "ARN"}}`,
		"data/resourceTypes/tea.json": `{"cup": {"key": "cup", "arn": "arn:${Partition}:tea:${Region}:${Account}:cup/${A}${B}/{C}", "conditionKeys": ["tea:Sort/<key>"]},
			"pot": {"key": "pot", "arn": "arn:${Partition}:tea:::pot"}}`,
		"data/actions/tea.json": `{
			"pour": {"name": "Pour", "accessLevel": "Write", "conditionKeys": ["tea:Sort/<key>", "tea:GUEST"], "dependentActions": ["tea:Look"],
				"resourceTypes": [{"name": "pot", "required": false, "conditionKeys": ["tea:GUEST"]}, {"name": "cup", "required": true}]},
			"look": {"name": "Look", "accessLevel": "Read"},
			"grant": {"name": "Grant", "accessLevel": "Permissions management, Write"},
			"label": {"name": "Label", "accessLevel": "Tagging, Write"}}`,
	}
}

func write(parts map[string]string) (string, error) {
	files := fstest.MapFS{}
	for name, text := range parts {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	p, err := read(files)
	if err != nil {
		return "", err
	}
	return p.text()
}

func TestText(t *testing.T) {
	want := strings.ReplaceAll(`iam-data|1|made-up|1.2.3|2026-01-02
rcp|coffee,tea
k|aws:PrincipalTag/${TagKey}|String|1
k|tea:Guest|ARN|1
s|tea
k|tea:Guest|ARN|1
k|tea:Sort/${TagKey}|String|n
t|cup|arn:*:tea:*:*:cup/*/*|1
t|pot|arn:*:tea:::pot|
a|tea:Grant|P|||
a|tea:Label|T|||
a|tea:Look|R|||
a|tea:Pour|W|cup!:;pot:0|0,1|tea:Look
`, "|", "\t")
	got, err := write(packageOf())
	if err != nil || got != want {
		t.Fatalf("%v\n%s\nexpected\n%s", err, got, want)
	}
	first, err := pack(got)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		again, err := write(packageOf())
		if err != nil {
			t.Fatal(err)
		}
		if second, err := pack(again); err != nil || !bytes.Equal(first, second) {
			t.Fatal("the same package gives other bytes")
		}
	}
}

// TestRefuses: what the table cannot say stops the program.
func TestRefuses(t *testing.T) {
	for name, change := range map[string][3]string{
		"no version":              {"package.json", `"1.2.3"`, `""`},
		"no day":                  {"package.json", "2026-01-02T", "today "},
		"no JSON":                 {"data/actions/tea.json", "{", "["},
		"unknown level":           {"data/actions/tea.json", `"Read"`, `"Gaze"`},
		"unknown resource type":   {"data/actions/tea.json", `"name": "cup"`, `"name": "mug"`},
		"unknown key":             {"data/actions/tea.json", `["tea:GUEST"]`, `["tea:Host"]`},
		"dependent of a resource": {"data/actions/tea.json", `"required": true`, `"required": true, "dependentActions": ["tea:Look"]`},
		"tab in a name":           {"data/actions/tea.json", `"name": "Look"`, `"name": "Lo\tok"`},
		"unknown type":            {"data/conditionKeys/tea.json", "ArrayOfString", "ArrayOfSpoon"},
		"two variable parts":      {"data/conditionKeys/tea.json", "tea:Sort/<key>", "tea:Sort/${A}/${B}"},
		"global of another form":  {"dist/cjs/globalConditionKeys.js", "category: 'session', ", ""},
	} {
		parts := maps.Clone(packageOf())
		before := parts[change[0]]
		parts[change[0]] = strings.Replace(before, change[1], change[2], 1)
		if parts[change[0]] == before {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := write(parts); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for name := range packageOf() {
		parts := packageOf()
		delete(parts, name)
		if _, err := write(parts); err == nil {
			t.Errorf("taken without %s", name)
		}
	}
}

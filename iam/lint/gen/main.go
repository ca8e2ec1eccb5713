// Program gen writes the page of the checks, docs/reference/lint.md. It is run by go generate in the folder above.
package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"drawbridge/iam/lint"
)

func main() {
	log.SetFlags(0)
	if err := os.WriteFile("../../docs/reference/lint.md", page(), 0o644); err != nil {
		log.Fatal(err)
	}
}

const head = `# What lint says about a policy

<!-- Written by go generate in iam/lint from the checks themselves. -->

` + "`drawbridge lint FILE…`" + ` reads policy documents and says, with line and column, what AWS would refuse and what it would accept
although it does not do what it says. ` + "`-`" + ` is standard input.

- An **error** is what AWS refuses. The exit status is then 1.
- A **warning** is what AWS accepts and the author can hardly mean. With ` + "`--strict`" + ` it makes the exit status 1 too.
- A **note** is worth a look.

A check that is not certain says nothing. What depends on AWS's tables of actions and keys is never an error, because the tables
have a day (` + "`drawbridge version`" + ` prints it) and AWS goes on.

` + "`--type`" + ` says what kind of policy the files are: identity, resource, trust, boundary, scp, rcp, session or endpoint. Without it,
lint guesses one of the first three, and says which and by what. ` + "`--fix`" + ` writes the fixes that are certain into the files and leaves
every other byte as it is. ` + "`--format`" + ` is text (as compilers print), json, or sarif.

In the library, ` + "`lint.Text`" + ` does the same, ` + "`lint.Check`" + ` for a document that is parsed already, and ` + "`lint.Apply`" + ` makes fixes.

Numbers of rules in the sources are those of [semantics.md](semantics.md).
`

func page() []byte {
	var b strings.Builder
	b.WriteString(head)
	for _, severity := range []lint.Severity{lint.Error, lint.Warning, lint.Note} {
		fmt.Fprintf(&b, "\n## %s\n\n| check | fault | why | source |\n|---|---|---|---|\n", map[lint.Severity]string{lint.Error: "Errors", lint.Warning: "Warnings", lint.Note: "Notes"}[severity])
		for _, c := range lint.Checks() {
			if c.Severity == severity {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.ID, c.Title, c.Why, c.Source)
			}
		}
	}
	return []byte(b.String())
}

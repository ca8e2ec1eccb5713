// Program gen writes the page about what the collector reads. It is run by go generate in the folder above.
package main

import (
	"log"
	"os"

	"drawbridge/internal/collect"
)

func main() {
	log.SetFlags(0)
	if err := os.WriteFile("../../docs/reference/coverage.md", []byte(collect.Coverage()), 0o644); err != nil {
		log.Fatal(err)
	}
}

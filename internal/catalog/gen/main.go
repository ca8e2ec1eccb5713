// Program gen writes the pages about the rules into docs/rules. It is run by go generate in the folder above.
package main

import (
	"log"
	"os"
	"path/filepath"

	"drawbridge/internal/catalog"
)

func main() {
	log.SetFlags(0)
	const folder = "../../docs/rules"
	if err := os.RemoveAll(folder); err != nil {
		log.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		log.Fatal(err)
	}
	for name, text := range catalog.Pages() {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

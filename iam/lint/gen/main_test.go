package main

import (
	"os"
	"testing"
)

// TestFresh: the page is the one that the checks give.
func TestFresh(t *testing.T) {
	written, err := os.ReadFile("../../../docs/reference/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != string(page()) {
		t.Error("docs/reference/lint.md is stale: run go generate in iam/lint")
	}
}

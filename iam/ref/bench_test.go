package ref

import "testing"

func BenchmarkUnpack(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := unpack(packed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupAction(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		LookupAction("ec2:runinstances")
	}
}

func BenchmarkExpandEverything(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Expand("*")
	}
}

package access

import (
	"runtime"
	"sync"
	"testing"
	"testing/fstest"

	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/synthetic"
)

// syntheticFiles is the synthetic organisation of 200 accounts with 100 roles each, as files in memory.
var syntheticFiles = sync.OnceValue(func() fstest.MapFS {
	files := fstest.MapFS{}
	err := synthetic.Write(200, 100, func(name string, data []byte) error {
		files[name] = &fstest.MapFile{Data: data}
		return nil
	})
	if err != nil {
		panic(err) // the sink never fails
	}
	return files
})

var syntheticGraph = sync.OnceValue(func() *Graph {
	s, err := snapshot.ReadFS(syntheticFiles())
	if err != nil {
		panic(err) // what synthetic writes is readable: its own tests hold that
	}
	return Build(org.Build(s), Options{})
})

// BenchmarkLoad reads 20,000 roles from files in memory, compiles their policies and links them.
func BenchmarkLoad(b *testing.B) {
	files := syntheticFiles()
	b.ReportAllocs()
	for b.Loop() {
		s, err := snapshot.ReadFS(files)
		if err != nil {
			b.Fatal(err)
		}
		if o := org.Build(s); len(o.Principals) != 20000 {
			b.Fatalf("%d principals", len(o.Principals))
		}
	}
}

// BenchmarkLoadGraph is BenchmarkLoad with the edges and crossings, which who-can needs for the grantees that a policy names.
func BenchmarkLoadGraph(b *testing.B) {
	files := syntheticFiles()
	b.ReportAllocs()
	for b.Loop() {
		s, err := snapshot.ReadFS(files)
		if err != nil {
			b.Fatal(err)
		}
		if g := Build(org.Build(s), Options{}); len(g.Edges) < 20000 {
			b.Fatalf("%d edges", len(g.Edges))
		}
	}
}

// whoCanQuestions are questions about the synthetic organisation: a bucket with a policy, an object of it, an object of a bucket
// that nobody knows, a key, a role.
var whoCanQuestions = []struct{ name, action, resource string }{
	{"bucket", "s3:ListBucket", "arn:aws:s3:::data-100000000007"},
	{"object", "s3:GetObject", "arn:aws:s3:::data-100000000007/report"},
	{"shared", "s3:PutObject", "arn:aws:s3:::shared-07/report"},
	{"key", "kms:Decrypt", "arn:aws:kms:eu-west-1:100000000007:key/0"},
	{"role", "sts:AssumeRole", "arn:aws:iam::100000000007:role/own-19"},
}

// BenchmarkWhoCan asks who of 20,000 roles can do what, after loading.
func BenchmarkWhoCan(b *testing.B) {
	g := syntheticGraph()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for _, q := range whoCanQuestions {
		b.Run(q.name, func(b *testing.B) {
			b.ReportAllocs()
			var n int
			for b.Loop() {
				edges, err := g.WhoCan(q.action, q.resource)
				if err != nil {
					b.Fatal(err)
				}
				n = len(edges)
			}
			b.ReportMetric(float64(n), "grantees")
			b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MB")
		})
	}
}

package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// generateOrganization writes a snapshot of the given size to a directory: most roles are copies of a few templates, as in
// organisations whose accounts are vended, and in each account some are its own.
func generateOrganization(tb testing.TB, accounts, roles int) string {
	tb.Helper()
	dir := tb.TempDir()
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	var list []string
	for i := range accounts {
		id := fmt.Sprintf("1%011d", i)
		list = append(list, fmt.Sprintf(`    {"id": %q, "name": "account-%d", "kind": "member", "ou": "r-root/ou-%d"}`, id, i, i%10))
		var b strings.Builder
		b.WriteString("{\n  \"UserDetailList\": [],\n  \"GroupDetailList\": [],\n  \"RoleDetailList\": [\n")
		for r := range roles {
			if r > 0 {
				b.WriteString(",\n")
			}
			b.WriteString(generatedRole(id, r))
		}
		b.WriteString("\n  ],\n  \"Policies\": []\n}\n")
		write("accounts/"+id+"/iam.json", b.String())
		write("accounts/"+id+"/resources.jsonl", fmt.Sprintf(`{"arn":"arn:aws:s3:::data-%s","type":"AWS::S3::Bucket","policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::data-%s/*"}]}}`+"\n", id, id, id))
	}
	write("organization.json", "{\"version\": 1, \"id\": \"o-generated\", \"scps\": [], \"rcps\": [], \"accounts\": [\n"+strings.Join(list, ",\n")+"\n]}\n")
	return dir
}

// generatedRole is one role as the AWS CLI prints it. One role in ten names its own account in its policies and is
// therefore distinct; the others come in forty kinds.
func generatedRole(account string, n int) string {
	own := account
	if n%10 != 0 {
		own = "*"
	}
	statements := make([]string, 6)
	for i := range statements {
		statements[i] = fmt.Sprintf(`              {
                "Sid": "Statement%d",
                "Effect": "Allow",
                "Action": [
                  "s3:GetObject",
                  "s3:PutObject",
                  "dynamodb:Query",
                  "kms:Decrypt"
                ],
                "Resource": [
                  "arn:aws:s3:::team-%d-%d/*",
                  "arn:aws:dynamodb:eu-west-1:%s:table/team-%d"
                ],
                "Condition": {
                  "StringEquals": {
                    "aws:RequestedRegion": ["eu-west-1", "eu-central-1"]
                  }
                }
              }`, i, n%40, i, own, n%40)
	}
	return fmt.Sprintf(`    {
      "Path": "/service/",
      "RoleName": "role-%d",
      "RoleId": "AROA%016d",
      "Arn": "arn:aws:iam::%s:role/service/role-%d",
      "CreateDate": "2024-05-02T08:00:00+00:00",
      "AssumeRolePolicyDocument": {
        "Version": "2012-10-17",
        "Statement": [
          {
            "Effect": "Allow",
            "Principal": {
              "AWS": "arn:aws:iam::%s:root"
            },
            "Action": "sts:AssumeRole"
          }
        ]
      },
      "InstanceProfileList": [],
      "RolePolicyList": [
        {
          "PolicyName": "work",
          "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
%s
            ]
          }
        }
      ],
      "AttachedManagedPolicies": [
        {
          "PolicyName": "ReadOnlyAccess",
          "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"
        }
      ],
      "Tags": [
        {
          "Key": "team",
          "Value": "team-%d"
        }
      ],
      "RoleLastUsed": {
        "LastUsedDate": "2026-01-30T22:10:00+00:00",
        "Region": "eu-west-1"
      }
    }`, n, n, account, n, strings.ReplaceAll(own, "*", "111122223333"), strings.Join(statements, ",\n"), n%40)
}

// BenchmarkRead reads a generated organisation of 200 accounts with 100 roles each. Beside the time it reports the bytes
// of input, the largest heap seen while reading (sampled each millisecond) and the heap that the snapshot keeps.
func BenchmarkRead(b *testing.B) {
	dir := generateOrganization(b, 200, 100)
	size := int64(0)
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	runtime.GC()
	debug.FreeOSMemory()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapInuse))
			}
		}
	}()
	var s *Snapshot
	for b.Loop() {
		s, err = ReadFS(os.DirFS(dir))
		if err != nil || len(s.Roles) != 20_000 {
			b.Fatal(err, len(s.Roles))
		}
	}
	close(stop)
	<-stopped
	runtime.GC()
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(peak.Load())/(1<<20), "peak-heap-MB")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "kept-MB")
	b.ReportMetric(float64(size)/(1<<20), "input-MB")
	runtime.KeepAlive(s)
}

// Memory follows the distinct policies: twice the accounts with the same documents bring no policy more.
func TestEqualPoliciesAreShared(t *testing.T) {
	distinct := func(files map[string]string) int {
		s, err := ReadFS(mapFS(files))
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[any]bool)
		for i := range s.Roles {
			seen[s.Roles[i].Trust.Policy] = true
			for _, d := range s.Roles[i].Inline {
				seen[d.Policy] = true
			}
		}
		return len(seen)
	}
	files := make(map[string]string)
	add := func(id string) {
		roles := []string{generatedRole(id, 1), generatedRole(id, 2), generatedRole(id, 41)}
		files["accounts/"+id+"/iam.json"] = `{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[` + strings.Join(roles, ",\n") + `]}`
	}
	add("111122223333")
	one := distinct(files)
	add("444455556666")
	add("777788889999")
	if three := distinct(files); one != 3 || three != one {
		t.Errorf("%d distinct policies in one account, %d in three copies; want 3 and 3", one, three)
	}
}

package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"drawbridge/internal/audit"
)

// S3 is a bucket with object lock: each checkpoint is an object that nobody can change or delete before its time, not even whoever owns the broker. It needs s3:PutObject, s3:PutObjectRetention, s3:GetObject,
// s3:GetObjectVersion and s3:ListBucketVersions there. Source: Amazon S3 User Guide, "Locking objects with Object Lock".
type S3 struct {
	Client         *s3.Client
	Bucket, Prefix string
	// Retain is how long an object is locked from its writing on. Governance: those with s3:BypassGovernanceRetention may delete it earlier; else nobody may (compliance mode).
	Retain     time.Duration
	Governance bool
	Now        func() time.Time
}

// Name implements Place.
func (s *S3) Name() string { return "s3" }

// maxCheckpoint is far above the length of any checkpoint.
const maxCheckpoint = 1 << 20

// key is the name of a checkpoint's object. Names sort by size.
func (s *S3) key(size int64) string { return fmt.Sprintf("%s%020d.txt", s.Prefix, size) }

// Publish implements Place.
func (s *S3) Publish(ctx context.Context, c *audit.Checkpoint, text []byte) error {
	mode := types.ObjectLockModeCompliance
	if s.Governance {
		mode = types.ObjectLockModeGovernance
	}
	_, err := s.Client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.Bucket, Key: aws.String(s.key(c.Size)), Body: bytes.NewReader(text), ContentType: aws.String("text/plain; charset=utf-8"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, // object lock demands one
		ObjectLockMode:    mode, ObjectLockRetainUntilDate: aws.Time(s.Now().Add(s.Retain)),
	})
	if err != nil {
		return fmt.Errorf("writing the checkpoint of %d records to s3://%s/%s: %w", c.Size, s.Bucket, s.Prefix, err)
	}
	return nil
}

// Newest implements Place. It reads versions: an object that somebody "deleted" only has a marker over it.
func (s *S3) Newest(ctx context.Context, after int64) (map[string][]byte, error) {
	found := make(map[string][]byte)
	in := &s3.ListObjectVersionsInput{Bucket: &s.Bucket, Prefix: &s.Prefix}
	if after > 0 {
		in.KeyMarker = aws.String(s.key(after))
	}
	for {
		out, err := s.Client.ListObjectVersions(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("listing the checkpoints in s3://%s/%s: %w", s.Bucket, s.Prefix, err)
		}
		for _, v := range out.Versions {
			key, version := aws.ToString(v.Key), aws.ToString(v.VersionId)
			name := fmt.Sprintf("s3://%s/%s?versionId=%s", s.Bucket, key, version)
			o, err := s.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key, VersionId: &version})
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", name, err)
			}
			text, err := io.ReadAll(io.LimitReader(o.Body, maxCheckpoint))
			_ = o.Body.Close()
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", name, err)
			}
			found[name] = text
		}
		if !aws.ToBool(out.IsTruncated) {
			return found, nil
		}
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
	}
}

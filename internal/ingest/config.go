package ingest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/internal/ingest/awsconfig"
	"drawbridge/internal/snapshot"
)

// ofAnotherService reports whether a folder of an account in a bucket of logs is not that of AWS Config.
func ofAnotherService(root fs.FS, name string) bool {
	if path.Base(name) == "Config" {
		return false
	}
	_, err := fs.Stat(root, path.Join(path.Dir(name), "Config"))
	return err == nil || strings.HasPrefix(path.Base(name), "CloudTrail")
}

// headSize is how much of a file tells what it is.
const headSize = 64 << 10

// isConfig reports whether a file, packed or not, is one of AWS Config.
func isConfig(fsys fs.FS, name string) bool {
	f, err := fsys.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	in, err := awsconfig.Unpacked(f)
	if err != nil {
		return false
	}
	head := make([]byte, headSize)
	n, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	return awsconfig.Is(head[:n])
}

// openConfig reads what AWS Config recorded: a file, or a folder as it lies in a bucket. ok is false where the input is something else; a folder is AWS Config's where one of its files is.
func openConfig(name string, info os.FileInfo, c Code) (s *snapshot.Snapshot, ok bool, err error) {
	root, files := os.DirFS(filepath.Dir(name)), []string{filepath.Base(name)}
	var others []string
	if info.IsDir() {
		root = os.DirFS(name)
		abs, err := filepath.Abs(name)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", name, err)
		}
		if files, others, err = configFiles(root, filepath.Base(abs)); err != nil {
			return nil, false, fmt.Errorf("%s: %w", name, err)
		}
	} else if !isConfig(root, files[0]) {
		return nil, false, nil
	}
	if len(files) == 0 {
		return nil, false, nil
	}
	if c.Region != "" || len(c.Parameters) > 0 {
		return nil, true, fmt.Errorf("%s: what AWS Config recorded has no region or parameters to be given", name)
	}
	s, err = awsconfig.Read(root, files, awsconfig.Options{Account: c.Account})
	if err != nil {
		return nil, true, fmt.Errorf("%s: %w", name, err)
	}
	for _, f := range others {
		s.Gaps = append(s.Gaps, snapshot.Gap{Kind: snapshot.GapFile, Subject: f, Reason: "is no file of AWS Config, in a folder of such; it was not read", Source: snapshot.Source{File: f}})
	}
	return s, true, nil
}

// configFiles are the files of a folder, and of all below it, that are AWS Config's, and those that might be and are not. Each file is looked at only where one of the first few is AWS Config's: a folder of something else is left
// after these. A bucket is often that of CloudTrail, too: what lies beside an account's folder Config is of other services, and is passed over. base is the name of the folder itself.
func configFiles(root fs.FS, base string) (files, others []string, err error) {
	const few = 20
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name == "." {
				return nil
			}
			parent := path.Base(path.Dir(name))
			if parent == "." {
				parent = base
			}
			if strings.HasPrefix(d.Name(), ".") || arn.IsAccountID(parent) && ofAnotherService(root, name) {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, ".json.gz"):
			return nil
		case isConfig(root, name):
			files = append(files, name)
		default:
			if others = append(others, name); len(files) == 0 && len(others) >= few {
				return fs.SkipAll
			}
		}
		return nil
	})
	return files, others, err
}

package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
)

// FuzzUnpack: whatever an archive holds, nothing is written beside its folder, and nothing but files and folders in it.
func FuzzUnpack(f *testing.F) {
	seed := func(headers ...tar.Header) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for i := range headers {
			h := &headers[i]
			if h.Typeflag == tar.TypeReg {
				h.Size = 4
			}
			if err := w.WriteHeader(h); err != nil {
				f.Fatal(err)
			}
			if h.Typeflag == tar.TypeReg {
				if _, err := w.Write([]byte("text")); err != nil {
					f.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	seed(tar.Header{Typeflag: tar.TypeReg, Name: "organization.json"}, tar.Header{Typeflag: tar.TypeDir, Name: "accounts/"}, tar.Header{Typeflag: tar.TypeReg, Name: "accounts/1/iam.json"})
	seed(tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: "/etc"}, tar.Header{Typeflag: tar.TypeReg, Name: "x/passwd"})
	seed(tar.Header{Typeflag: tar.TypeReg, Name: "../outside"})
	seed(tar.Header{Typeflag: tar.TypeReg, Name: "/outside"})
	f.Fuzz(func(t *testing.T, archive []byte) {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(archive); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		around := t.TempDir()
		dir := filepath.Join(around, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_ = Unpack(&packed, dir) // an error is an answer
		list, err := os.ReadDir(around)
		if err != nil || len(list) != 1 {
			t.Errorf("beside the folder there is %v, error %v", list, err)
		}
		err = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !d.Type().IsRegular() {
				t.Errorf("%s is a %v", name, d.Type())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

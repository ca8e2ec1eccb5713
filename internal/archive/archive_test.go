package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
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

// TestBomb: a few bytes that become many are refused before they fill the disk, packed ones and holes alike.
func TestBomb(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	const size = 1 << 28
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "x", Size: size, Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 1<<20); ; {
		if _, err := w.Write(chunk); err != nil {
			break // it is full
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	arrived := packed.Len()
	dir := t.TempDir()
	err := Unpack(&packed, dir)
	if err == nil || !strings.Contains(err.Error(), "became more than") {
		t.Errorf("%d bytes: %v", arrived, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "x")); err == nil && info.Size() > maxFree+maxRatio*int64(arrived) {
		t.Errorf("%d bytes were written", info.Size())
	}
}

// TestThereAndBack: what is packed is unpacked as it was, with what was added.
func TestThereAndBack(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(from, "accounts", "1"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"organization.json": "{}", "accounts/1/iam.json": strings.Repeat("a role ", 10_000)}
	for name, text := range want {
		if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	use := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(use, []byte("used"), 0o600); err != nil {
		t.Fatal(err)
	}
	want[UseFile] = "used"
	var packed bytes.Buffer
	if err := Pack(&packed, from, map[string]string{UseFile: use}); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(&packed, to); err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != text {
			t.Errorf("%s has %d bytes, error %v", name, len(got), err)
		}
	}
	if err := Pack(&packed, filepath.Join(from, "none"), nil); err == nil {
		t.Error("packed what is not there")
	}
}

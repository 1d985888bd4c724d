// Package objecttest holds every place for objects to what package object promises.
package objecttest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/claudemesh/broker/core/object"
)

// Run runs the suite. Each test gets a place without objects.
func Run(t *testing.T, open func(t *testing.T) object.Store) {
	t.Helper()
	for _, tt := range []struct {
		name string
		run  func(*testing.T, object.Store)
	}{
		{"an object is read as it was written, and in parts", read},
		{"an object that does not arrive whole is none", short},
		{"more than was said is not read", long},
		{"what is deleted is not there", deleted},
		{"what is under a key is deleted, and nothing beside it", under},
		{"a key leads nowhere else", keys},
		{"many write and read at once", atOnce},
	} {
		t.Run("it holds that "+tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, open(t))
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s object.Store, key, text string) {
	t.Helper()
	must(t, s.Put(t.Context(), key, strings.NewReader(text), int64(len(text))))
}

// want wants an object to have a text.
func want(t *testing.T, s object.Store, key string, offset int64, text string) {
	t.Helper()
	r, err := s.Open(t.Context(), key, offset, int64(len(text)))
	must(t, err)
	got, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	if string(got) != text {
		t.Errorf("%s from %d: got %d bytes %.20q, want %d bytes %.20q", key, offset, len(got), got, len(text), text)
	}
}

func wantNone(t *testing.T, s object.Store, key string) {
	t.Helper()
	r, err := s.Open(t.Context(), key, 0, 1)
	if err == nil {
		_, err = io.ReadAll(r)
		must(t, r.Close())
	}
	if !errors.Is(err, object.ErrNotFound) {
		t.Errorf("%s: got %v, want that there is none", key, err)
	}
}

func read(t *testing.T, s object.Store) {
	large := make([]byte, 3<<20+7)
	_, _ = rand.Read(large)
	must(t, s.Put(t.Context(), "aa/file/1", bytes.NewReader(large), int64(len(large))))
	want(t, s, "aa/file/1", 0, string(large))
	want(t, s, "aa/file/1", 1<<20, string(large[1<<20:2<<20]))
	want(t, s, "aa/file/1", int64(len(large))-1, string(large[len(large)-1:]))
	put(t, s, "aa/file/2", "x")
	want(t, s, "aa/file/2", 0, "x")
	want(t, s, "aa/file/2", 0, "")
	wantNone(t, s, "aa/file/3")
}

func short(t *testing.T, s object.Store) {
	broken := errors.New("the line broke")
	for name, r := range map[string]io.Reader{
		"ends": strings.NewReader("abc"), "fails": io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)),
	} {
		err := s.Put(t.Context(), "aa/"+name+"/1", r, 100_000)
		if !errors.Is(err, object.ErrShort) || name == "fails" && !errors.Is(err, broken) {
			t.Errorf("%s: got %v", name, err)
		}
		wantNone(t, s, "aa/"+name+"/1")
	}
}

func long(t *testing.T, s object.Store) {
	r := strings.NewReader("abcdef")
	must(t, s.Put(t.Context(), "aa/file/1", r, 3))
	want(t, s, "aa/file/1", 0, "abc")
	if left, _ := io.ReadAll(r); string(left) != "def" {
		t.Errorf("%q is left", left)
	}
}

func deleted(t *testing.T, s object.Store) {
	must(t, s.Delete(t.Context(), "aa/never/1"))
	put(t, s, "aa/file/1", "x")
	must(t, s.Delete(t.Context(), "aa/file/1"))
	wantNone(t, s, "aa/file/1")
}

func under(t *testing.T, s object.Store) {
	must(t, s.DeleteUnder(t.Context(), "aa/never"))
	for _, key := range []string{"aa/file/1", "aa/file/2", "aa/file2/1"} {
		put(t, s, key, "x")
	}
	must(t, s.DeleteUnder(t.Context(), "aa/file"))
	wantNone(t, s, "aa/file/1")
	wantNone(t, s, "aa/file/2")
	want(t, s, "aa/file2/1", 0, "x")
}

func keys(t *testing.T, s object.Store) {
	for _, key := range []string{"", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", ".", "a/.", `a\b`, "a b", "a\x00", "ä", strings.Repeat("a", 600)} {
		_, err := s.Open(t.Context(), key, 0, 1)
		for _, err := range []error{err, s.Put(t.Context(), key, strings.NewReader("x"), 1), s.Delete(t.Context(), key), s.DeleteUnder(t.Context(), key)} {
			if !errors.Is(err, object.ErrKey) {
				t.Errorf("%q: got %v", key, err)
			}
		}
	}
}

func atOnce(t *testing.T, s object.Store) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			key, text := fmt.Sprintf("aa/file%d/1", i), strings.Repeat(fmt.Sprint(i), 1000)
			if err := s.Put(t.Context(), key, strings.NewReader(text), 1000); err != nil {
				t.Error(err)
				return
			}
			r, err := s.Open(t.Context(), key, 0, 1000)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close() //nolint:errcheck // only read
			if got, err := io.ReadAll(r); err != nil || string(got) != text {
				t.Errorf("got %.20q, error %v", got, err)
			}
		})
	}
	all.Wait()
}

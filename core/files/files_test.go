package files

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/object"
	"github.com/claudemesh/broker/core/object/disk"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/freshtest"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/sdk"
)

// rig is a store with a mesh, and a disk.
type rig struct {
	testing.TB
	*Files
	store *sqlite.Store
	mesh  string
	dir   string

	mu       sync.Mutex
	now      time.Time
	recorded []string // ids of files that the audit log knows of
}

// record is the audit log.
func (r *rig) record(_ context.Context, f *store.File) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recorded = append(r.recorded, f.ID)
	return nil
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{TB: t, dir: t.TempDir(), mesh: identity.NewID(), now: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	r.store, err = sqlite.Open(t.Context(), sqlite.Options{Path: freshtest.Path(t), Durability: sqlite.Process})
	r.must(err)
	t.Cleanup(func() { r.must(r.store.Close()) })
	r.must(r.store.CreateMesh(t.Context(), &store.Mesh{ID: r.mesh, Slug: r.mesh, Name: "mesh", OwnerKey: sdk.Key{1}, CreatedAt: r.now}, nil))
	objects, err := disk.Open(r.dir)
	r.must(err)
	t.Cleanup(func() { r.must(objects.Close()) })
	r.Files = New(Options{Store: r.store, Objects: objects, Keep: time.Hour, Now: r.time, Record: r.record, Log: slog.New(slog.DiscardHandler)})
	return r
}

func (r *rig) time() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// create writes an open file.
func (r *rig) create(size int, edit func(*store.File)) *store.File {
	r.Helper()
	f := &store.File{
		ID: identity.NewMessageID(time.Now()), MeshID: r.mesh, Name: "x", Size: int64(size), Persistent: true, MemberID: "ada", Author: "Ada",
		CreatedAt: r.time(), ExpiresAt: r.time().Add(UnfinishedKept), Hash: Start(),
	}
	if edit != nil {
		edit(f)
	}
	_, _, err := r.store.CreateFile(r.Context(), f, nil, store.FileRoom{
		Files: store.Most{Mesh: 1000, Member: 1000}, Bytes: store.Most{Mesh: 1 << 40, Member: 1 << 40}, Open: 1000,
	})
	r.must(err)
	return f
}

func content(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return b
}

// want wants a file to have some bytes.
func (r *rig) want(f *store.File, want []byte) {
	r.Helper()
	c, err := r.Open(r.Context(), f)
	r.must(err)
	got, err := io.ReadAll(c)
	r.must(errors.Join(err, c.Close()))
	if !bytes.Equal(got, want) {
		r.Errorf("got %d bytes, want %d others", len(got), len(want))
	}
}

// objects returns how many objects there are.
func (r *rig) objects() (n int) {
	r.Helper()
	err := filepath.WalkDir(filepath.Join(r.dir, "objects"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	r.must(err)
	return n
}

func TestAppend(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	all := content(2*PieceBytes + 100)
	f := r.create(len(all), nil)
	sum := sha256.Sum256(all)
	f, err := r.Append(t.Context(), f, bytes.NewReader(all[:PieceBytes+10]), PieceBytes+10, nil)
	r.must(err)
	if f.Received != PieceBytes+10 || f.Ready() {
		t.Fatalf("got %+v", f)
	}
	f, err = r.store.File(t.Context(), r.mesh, f.ID) // another broker goes on
	r.must(err)
	f, err = r.Append(t.Context(), f, bytes.NewReader(append(all[PieceBytes+10:], "more"...)), 1<<40, &sum)
	r.must(err)
	if !f.Ready() || f.Digest != sum || !f.ExpiresAt.IsZero() {
		t.Errorf("got %+v", f)
	}
	r.want(f, all)
}

// What arrived whole before the body broke off is kept, and nothing else.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	all := content(PieceBytes + 1000)
	f := r.create(len(all), nil)
	body := io.MultiReader(bytes.NewReader(all[:PieceBytes+10]), iotest.ErrReader(errors.New("gone")))
	f, err := r.Append(t.Context(), f, body, int64(len(all)), nil)
	if !errors.Is(err, ErrBrokenOff) || f.Received != PieceBytes {
		t.Fatalf("got %d bytes, error %v", f.Received, err)
	}
	f, err = r.Append(t.Context(), f, bytes.NewReader(all[PieceBytes:]), 1000, nil)
	r.must(err)
	r.want(f, all)
	if n := r.objects(); n != 2 {
		t.Errorf("there are %d objects", n)
	}
}

func TestWrongDigest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create(5, nil)
	if _, err := r.Append(t.Context(), f, strings.NewReader("hello"), 5, new([32]byte)); !errors.Is(err, ErrDigest) {
		t.Errorf("got %v", err)
	}
	if _, err := r.store.File(t.Context(), r.mesh, f.ID); !errors.Is(err, store.ErrNotFound) || r.objects() != 0 {
		t.Errorf("the file is there, error %v", err)
	}
}

// Of many that send the same bytes at once one adds them, and the others leave
// nothing.
func TestAppendRace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f := r.create(1000, nil)
	all := content(1000)
	var done, moved int
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			_, err := r.Append(t.Context(), f, bytes.NewReader(all), 1000, nil)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				done++
			case errors.Is(err, ErrMoved), errors.Is(err, ErrHeld):
				moved++
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if done != 1 || moved != 7 || r.objects() != 1 {
		t.Errorf("%d were first, %d were not, %d objects", done, moved, r.objects())
	}
	r.want(f, all)
}

// lossy is a store whose answers to what was written are lost.
type lossy struct {
	Store
	left context.CancelFunc // of who waits for the answer
}

func (l lossy) AddPiece(ctx context.Context, f *store.File, p store.FilePiece, holder string) error {
	l.left()
	if err := ctx.Err(); err != nil {
		return err // written or not: nobody knows
	}
	if err := l.Store.AddPiece(ctx, f, p, holder); err != nil {
		return err
	}
	return errors.New("the answer was lost")
}

// What may have been written has its bytes, also when whoever sent them has gone.
func TestAppendWithoutAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f, all := r.create(1000, nil), content(1000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.Store = lossy{r.Store, cancel}
	if _, err := r.Append(ctx, f, bytes.NewReader(all), 1000, nil); err == nil {
		t.Error("nobody knows whether the piece is there, and there is no error")
	}
	f, err := r.store.File(t.Context(), r.mesh, f.ID)
	r.must(err)
	if !f.Ready() {
		t.Fatal("a piece that arrived whole is not written, since its sender did not wait")
	}
	r.want(f, all)
}

// However a file was cut into pieces, every part of it is what it was.
func TestContent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	all := content(1000)
	rapid.Check(t, func(rt *rapid.T) {
		f := r.create(len(all), nil)
		for rest := all; len(rest) > 0; {
			n := rapid.IntRange(min(250, len(rest)), len(rest)).Draw(rt, "piece")
			var err error
			f, err = r.Append(context.Background(), f, bytes.NewReader(rest), int64(n), nil)
			r.must(err)
			rest = rest[n:]
		}
		c, err := r.Open(context.Background(), f)
		r.must(err)
		defer c.Close()
		for range 5 {
			from := rapid.IntRange(0, len(all)).Draw(rt, "from")
			_, err := c.Seek(int64(from), io.SeekStart)
			r.must(err)
			got, err := io.ReadAll(io.LimitReader(c, int64(rapid.IntRange(0, len(all)).Draw(rt, "size"))))
			r.must(err)
			if !bytes.Equal(got, all[from:from+len(got)]) {
				rt.Fatalf("from %d come other bytes", from)
			}
		}
		if end, err := c.Seek(0, io.SeekEnd); end != int64(len(all)) || err != nil {
			rt.Fatalf("it ends at %d, error %v", end, err)
		}
	})
}

// TestFlawExt57: deleted and ephemeral files and uploads that nobody finishes leave
// nothing behind, and neither does a request that was late.
func TestFlawExt57(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fill := func(f *store.File, n int64) *store.File {
		f, err := r.Append(t.Context(), f, bytes.NewReader(content(int(f.Size))), n, nil)
		r.must(err)
		return f
	}
	kept := fill(r.create(100, nil), 100)
	ephemeral := fill(r.create(100, func(f *store.File) { f.Persistent = false }), 100)
	fill(r.create(100, nil), 50) // unfinished
	deleted := fill(r.create(100, nil), 100)

	r.must(r.Drop(t.Context(), deleted))
	if n := r.objects(); n != 3 {
		t.Errorf("%d objects are left of three files", n)
	}
	late := filepath.Join(r.dir, "objects", folder(deleted.ID))
	r.must(os.MkdirAll(late, 0o700))
	r.must(os.WriteFile(filepath.Join(late, "late"), []byte("x"), 0o600))

	r.pass(59 * time.Minute)
	r.must(r.Sweep(t.Context()))
	if _, err := r.store.File(t.Context(), r.mesh, ephemeral.ID); err != nil {
		t.Errorf("an ephemeral file is gone before its time: %v", err)
	}
	r.pass(time.Minute)
	r.must(r.Sweep(t.Context()))
	if _, err := r.store.File(t.Context(), r.mesh, ephemeral.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an ephemeral file is there after its time: %v", err)
	}
	r.pass(UnfinishedKept)
	r.must(r.Sweep(t.Context()))
	r.pass(goneKept + time.Second)
	r.must(r.Sweep(t.Context()))
	r.want(kept, mustRead(r, kept))
	if n := r.objects(); n != 1 {
		t.Errorf("%d objects are left of one file", n)
	}
	gone, err := r.store.GoneFiles(t.Context(), r.time().Add(time.Hour), 10)
	if err != nil || len(gone) > 0 {
		t.Errorf("rows are left: %v, error %v", gone, err)
	}
}

// stuck is a place that does not give up the objects of one file.
type stuck struct {
	object.Store
	under string
}

func (s stuck) DeleteUnder(ctx context.Context, key string) error {
	if key == s.under {
		return errors.New("held by somebody")
	}
	return s.Store.DeleteUnder(ctx, key)
}

// A file that cannot be deleted keeps no other one.
func TestSweepGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	held, other := r.create(10, nil), r.create(10, nil)
	r.Objects = stuck{r.Objects, folder(held.ID)}
	r.must(r.Drop(t.Context(), held))
	r.pass(time.Second)
	r.must(r.Drop(t.Context(), other))
	r.pass(goneKept + time.Second)
	if err := r.Sweep(t.Context()); err == nil {
		t.Error("nobody hears of it")
	}
	gone, err := r.store.GoneFiles(t.Context(), r.time(), 10)
	r.must(err)
	if len(gone) != 1 || gone[0].ID != held.ID {
		t.Errorf("left are %v", gone)
	}
}

func mustRead(r *rig, f *store.File) []byte {
	r.Helper()
	c, err := r.Open(r.Context(), f)
	r.must(err)
	b, err := io.ReadAll(c)
	r.must(errors.Join(err, c.Close()))
	return b
}

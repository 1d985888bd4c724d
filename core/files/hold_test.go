package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/store"
)

// other returns another broker with the same store and the same objects.
func (r *rig) other() *Files {
	return New(r.Options)
}

// slow is a body of which the rest comes when somebody says so. It reports the first
// read.
type slow struct {
	io.Reader
	read chan struct{}
	rest chan struct{}
	once sync.Once
}

func newSlow(body []byte) *slow {
	return &slow{Reader: bytes.NewReader(body), read: make(chan struct{}), rest: make(chan struct{})}
}

// Read implements [io.Reader].
func (s *slow) Read(p []byte) (int, error) {
	s.once.Do(func() {
		close(s.read)
		<-s.rest
	})
	return s.Reader.Read(p)
}

// untouched is a body that nobody may read.
type untouched struct{ testing.TB }

// Read implements [io.Reader].
func (u untouched) Read([]byte) (int, error) {
	u.Error("bytes are taken in of a request that is refused")
	return 0, io.EOF
}

// While one request sends bytes, no other one has its own taken in, neither here nor
// by another broker.
func TestOneRequestWritesAnUpload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f, all := r.create(1000, nil), content(1000)
	body := newSlow(all)
	var first sync.WaitGroup
	first.Go(func() {
		_, err := r.Append(context.Background(), f, body, 1000, nil)
		r.must(err)
	})
	<-body.read
	for _, broker := range []*Files{r.Files, r.other()} {
		if _, err := broker.Append(t.Context(), f, untouched{t}, 1000, nil); !errors.Is(err, ErrHeld) {
			t.Errorf("got %v, want ErrHeld", err)
		}
	}
	close(body.rest)
	first.Wait()
	if _, err := r.Append(t.Context(), f, untouched{t}, 1000, nil); !errors.Is(err, ErrMoved) {
		t.Errorf("got %v, want ErrMoved", err)
	}
	r.want(f, all)
}

// An upload whose request broke off can be gone on with at once.
func TestHoldEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f, all := r.create(1000, nil), content(1000)
	if _, err := r.Append(t.Context(), f, strings.NewReader("too short"), 1000, nil); !errors.Is(err, ErrBrokenOff) {
		t.Fatalf("got %v", err)
	}
	_, err := r.other().Append(t.Context(), f, bytes.NewReader(all), 1000, nil)
	r.must(err)
	r.want(f, all)
}

// An upload whose broker was killed can be gone on with soon.
func TestHoldOfADeadBroker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	f, all := r.create(1000, nil), content(1000)
	r.must(r.store.HoldUpload(t.Context(), f.ID, 0, "dead", r.time(), r.time().Add(HeldFor)))
	r.pass(HeldFor - time.Second)
	if _, err := r.Append(t.Context(), f, untouched{t}, 1000, nil); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v, want ErrHeld", err)
	}
	r.pass(time.Second)
	_, err := r.Append(t.Context(), f, bytes.NewReader(all), 1000, nil)
	r.must(err)
	r.want(f, all)
}

// forgetful is a store whose broker dies before it has told the audit log.
type forgetful struct{ Store }

func (forgetful) FileRecorded(context.Context, string) error { return errors.New("the broker died") }

// The audit log hears of each file that is there, also when the broker that took in
// its last bytes died before.
func TestAuditLogHearsOfEachFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fill := func(broker *Files, f *store.File) error {
		_, err := broker.Append(t.Context(), f, bytes.NewReader(content(10)), 10, nil)
		return err
	}
	told, dead, late := r.create(10, nil), r.create(10, nil), r.create(10, nil)
	r.must(fill(r.Files, told))

	dying := r.other()
	dying.Record = func(context.Context, *store.File) error { return errors.New("the broker died") }
	if fill(dying, dead) == nil {
		t.Error("who sent a file hears nothing of a log that cannot be written")
	}
	dying = r.other()
	dying.Store = forgetful{r.Store}
	if fill(dying, late) == nil {
		t.Error("who sent a file hears nothing of a store that is away")
	}

	r.must(r.Sweep(t.Context()))
	if want := []string{told.ID, late.ID}; !slices.Equal(r.recorded, want) {
		t.Errorf("before its time the log has %q, want %q", r.recorded, want)
	}
	r.pass(recordedIn + time.Second)
	for range 2 {
		r.must(r.Sweep(t.Context()))
	}
	if want := []string{told.ID, late.ID, dead.ID, late.ID}; !slices.Equal(r.recorded, want) {
		t.Errorf("the log has %q, want %q", r.recorded, want)
	}
}

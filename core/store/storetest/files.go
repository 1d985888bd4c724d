package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

var files = []test{
	{"a file is created, filled and read as it was written", fillFile},
	{"a piece that does not follow is refused", pieceConflict},
	{"of many that add the same piece at once one does", pieceRace},
	{"one request holds an upload, until its time is over", holdUpload},
	{"of many that hold an upload at once one does", holdRace},
	{"what is written of a file that is gone takes room", heldAndGone},
	{"a file is unrecorded from its last piece on", recordFile},
	{"files are listed, the newest first, by name, uploader and target", listFiles},
	{"a request that is repeated makes no second file", createFileTwice},
	{"a file that does not fit is refused", filesFull},
	{"of many that take the last place one gets it", filesRace},
	{"a file that is gone is not found, and is erased with all that belongs to it", dropFile},
	{"files expire, and go with their mesh", expireFiles},
	{"a key is the peer's, and there are so many", fileKeys},
	{"who got a file is known, each peer once, the newest of them", fileAccesses},
	{"files survive a restart", reopenFiles},
}

// file makes the n-th file of the first mesh, of ten bytes.
func file(n int) *store.File {
	return &store.File{
		ID: id("file", n), MeshID: id("mesh", 1), Name: fmt.Sprint("Report ", n, ".txt"), Size: 10, MediaType: "text/plain",
		Tags: []string{"a"}, Persistent: true, MemberID: id("ada", 1), Author: "Ada", Hash: []byte{1, 0},
		CreatedAt: now().Add(time.Duration(n) * time.Second),
	}
}

func fileRoom() store.FileRoom {
	return store.FileRoom{Files: store.Most{Mesh: 100, Member: 100}, Bytes: store.Most{Mesh: 1000, Member: 1000}, Open: 100}
}

func (s *suite) createFile(list ...*store.File) {
	s.Helper()
	for _, f := range list {
		got, fresh, err := s.CreateFile(s.ctx, f, nil, fileRoom())
		if err != nil || got != f.ID || !fresh {
			s.Fatalf("got %s, fresh %v, error %v", got, fresh, err)
		}
	}
}

// fill makes files ready, of one piece each.
func (s *suite) fill(list ...*store.File) {
	s.Helper()
	for _, f := range list {
		s.hold(f)
		f.Received, f.Hash, f.Digest, f.ReadyAt = f.Size, nil, [32]byte{9}, f.CreatedAt.Add(time.Minute)
		s.must(s.AddPiece(s.ctx, f, store.FilePiece{Size: f.Size, Object: "o/" + f.ID}, holder))
	}
}

// holder holds uploads where nobody else does.
const holder = "holder"

func (s *suite) hold(f *store.File) {
	s.Helper()
	s.must(s.HoldUpload(s.ctx, f.ID, f.Received, holder, now(), now().Add(time.Minute)))
}

func (s *suite) wantFile(want *store.File) {
	s.Helper()
	got, err := s.File(s.ctx, want.MeshID, want.ID)
	s.must(err)
	same(s, got, want)
}

func fillFile(s *suite) {
	s.mesh(0)
	f := file(1)
	f.Encrypted, f.Target, f.ExpiresAt, f.Request = true, "@ops", now().Add(time.Hour), [32]byte{3}
	s.createFile(f)
	s.wantFile(f)
	s.hold(f)
	f.Received, f.Hash = 4, []byte{2}
	s.must(s.AddPiece(s.ctx, f, store.FilePiece{Start: 0, Size: 4, Object: "a"}, holder))
	s.wantFile(f)
	f.Received, f.Hash, f.Digest, f.ReadyAt, f.ExpiresAt = 10, nil, [32]byte{7}, now().Add(time.Minute), time.Time{}
	s.must(s.AddPiece(s.ctx, f, store.FilePiece{Start: 4, Size: 6, Object: "b"}, holder))
	s.wantFile(f)
	got, err := s.FilePieces(s.ctx, f.ID)
	s.must(err)
	same(s, got, []store.FilePiece{{Start: 0, Size: 4, Object: "a"}, {Start: 4, Size: 6, Object: "b"}})
	n, err := s.CountFiles(s.ctx, f.MeshID)
	if err != nil || n != 1 {
		s.Errorf("got %d files, error %v", n, err)
	}
	_, err = s.File(s.ctx, id("mesh", 2), f.ID)
	s.wantErr(err, store.ErrNotFound)
}

func pieceConflict(s *suite) {
	s.mesh(0)
	f := file(1)
	s.createFile(f)
	after := *f
	after.Received = 6
	s.wantErr(s.AddPiece(s.ctx, &after, store.FilePiece{Size: 6, Object: "a"}, holder), store.ErrConflict)
	s.hold(f)
	s.wantErr(s.AddPiece(s.ctx, &after, store.FilePiece{Size: 6, Object: "a"}, "another"), store.ErrConflict)
	s.must(s.AddPiece(s.ctx, &after, store.FilePiece{Size: 6, Object: "a"}, holder))
	for _, start := range []int64{0, 5, 7} {
		s.wantErr(s.AddPiece(s.ctx, &after, store.FilePiece{Start: start, Size: 1, Object: "x"}, holder), store.ErrConflict)
	}
	s.must(s.DropFile(s.ctx, f.MeshID, f.ID, now()))
	s.wantErr(s.AddPiece(s.ctx, &after, store.FilePiece{Start: 6, Size: 1, Object: "x"}, holder), store.ErrConflict)
	s.wantErr(s.AddPiece(s.ctx, file(2), store.FilePiece{Size: 1, Object: "x"}, holder), store.ErrConflict)
}

// atOnce calls f from eight goroutines, and returns how many had no error, or the
// error of one that is not allowed.
func atOnce(f func(n int) error, allowed error) (done int, err error) {
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	for _, e := range errs {
		switch {
		case e == nil:
			done++
		case !errors.Is(e, allowed):
			err = e
		}
	}
	return done, err
}

func pieceRace(s *suite) {
	s.mesh(0)
	f := file(1)
	s.createFile(f)
	s.hold(f)
	done, err := atOnce(func(n int) error {
		after := *f
		after.Received = int64(n) + 1
		return s.AddPiece(s.ctx, &after, store.FilePiece{Size: after.Received, Object: fmt.Sprint(n)}, holder)
	}, store.ErrConflict)
	s.must(err)
	list, err := s.FilePieces(s.ctx, f.ID)
	s.must(err)
	if got, err := s.File(s.ctx, f.MeshID, f.ID); done != 1 || len(list) != 1 || err != nil || got.Received != list[0].Size {
		s.Errorf("%d added a piece, and there are %d", done, len(list))
	}
}

func holdUpload(s *suite) {
	s.mesh(0)
	f := file(1)
	s.createFile(f)
	take := func(received int64, holder string, after time.Duration) error {
		at := now().Add(after)
		return s.HoldUpload(s.ctx, f.ID, received, holder, at, at.Add(time.Minute))
	}
	s.must(take(0, "a", 0))
	s.wantErr(take(0, "b", time.Second), store.ErrConflict)
	s.must(s.KeepUpload(s.ctx, f.ID, "b", time.Time{})) // not b's to give up
	s.must(s.KeepUpload(s.ctx, f.ID, "a", now().Add(time.Hour)))
	s.wantErr(take(0, "b", 59*time.Minute), store.ErrConflict)
	s.must(take(0, "b", time.Hour)) // a has been silent for too long
	after := *f
	after.Received = 4
	s.wantErr(s.AddPiece(s.ctx, &after, store.FilePiece{Size: 4, Object: "a"}, "a"), store.ErrConflict)
	s.must(s.AddPiece(s.ctx, &after, store.FilePiece{Size: 4, Object: "b"}, "b"))
	s.must(s.KeepUpload(s.ctx, f.ID, "b", time.Time{}))
	s.wantErr(take(0, "c", 0), store.ErrNotFound)
	s.must(take(4, "c", 0))
	s.must(s.DropFile(s.ctx, f.MeshID, f.ID, now()))
	s.must(s.KeepUpload(s.ctx, f.ID, "c", time.Time{}))
	s.wantErr(take(4, "d", 0), store.ErrNotFound)
	s.wantErr(s.HoldUpload(s.ctx, "nothing", 0, "d", now(), now()), store.ErrNotFound)
}

func holdRace(s *suite) {
	s.mesh(0)
	f := file(1)
	s.createFile(f)
	done, err := atOnce(func(n int) error {
		return s.HoldUpload(s.ctx, f.ID, 0, fmt.Sprint("holder ", n), now(), now().Add(time.Minute))
	}, store.ErrConflict)
	if done != 1 || err != nil {
		s.Errorf("%d hold the upload, error %v", done, err)
	}
}

// heldAndGone has a member begin uploads, and delete them while their bytes come.
func heldAndGone(s *suite) {
	s.mesh(0)
	f := file(1)
	s.createFile(f)
	s.hold(f)
	after := *f
	after.Received = 4
	s.must(s.AddPiece(s.ctx, &after, store.FilePiece{Size: 4, Object: "a"}, holder))
	s.must(s.DropFile(s.ctx, f.MeshID, f.ID, now()))
	for _, tt := range []struct {
		what string
		room store.FileRoom
		by   string
		fits bool
	}{
		{"bytes of the mesh", store.FileRoom{Files: store.Most{Mesh: 9, Member: 9}, Bytes: store.Most{Mesh: 15, Member: 99}, Open: 9}, "bo", false},
		{"bytes of the member", store.FileRoom{Files: store.Most{Mesh: 9, Member: 9}, Bytes: store.Most{Mesh: 99, Member: 15}, Open: 9}, "ada", false},
		{"uploads", store.FileRoom{Files: store.Most{Mesh: 9, Member: 9}, Bytes: store.Most{Mesh: 99, Member: 99}, Open: 1}, "ada", false},
		{"bytes of another member", store.FileRoom{Files: store.Most{Mesh: 9, Member: 9}, Bytes: store.Most{Mesh: 16, Member: 15}, Open: 1}, "bo", true},
	} {
		next := file(2)
		next.MemberID = id(tt.by, 1)
		_, _, err := s.CreateFile(s.ctx, next, nil, tt.room)
		if (err == nil) != tt.fits || err != nil && !errors.Is(err, store.ErrExhausted) {
			s.Errorf("%s: got %v", tt.what, err)
		}
	}
	s.must(s.KeepUpload(s.ctx, f.ID, holder, time.Time{}))
	s.createFile(file(3))
	late := file(4)
	_, _, err := s.CreateFile(s.ctx, late, nil, store.FileRoom{
		Files: store.Most{Mesh: 9, Member: 9}, Bytes: store.Most{Mesh: 30, Member: 20}, Open: 2,
	})
	s.must(err)
}

func recordFile(s *suite) {
	s.mesh(0)
	open, ready, gone := file(1), file(2), file(3)
	s.createFile(open, ready, gone)
	s.fill(ready, gone)
	s.must(s.DropFile(s.ctx, gone.MeshID, gone.ID, now()))
	gone.GoneAt = now()
	wanted := func(before time.Time, limit int, want ...*store.File) {
		s.Helper()
		got, err := s.UnrecordedFiles(s.ctx, before, limit)
		s.must(err)
		same(s, got, want)
	}
	wanted(now().Add(time.Hour), 9, ready, gone)
	wanted(now().Add(time.Hour), 1, ready)
	wanted(gone.ReadyAt, 9, ready)
	wanted(ready.ReadyAt, 9)
	s.must(s.FileRecorded(s.ctx, ready.ID))
	s.must(s.FileRecorded(s.ctx, "nothing"))
	wanted(now().Add(time.Hour), 9, gone)
	s.must(s.FileRecorded(s.ctx, gone.ID))
	wanted(now().Add(time.Hour), 9)
}

func listFiles(s *suite) {
	s.mesh(0)
	all := []*store.File{file(1), file(2), file(3), file(4), file(5)}
	all[1].Name, all[1].Author, all[1].MemberID = "100%_done ÄRGER", "Bo", id("bo", 1)
	all[2].Target = "@ops"
	all[3].Target, all[3].MemberID = key(7).String(), id("bo", 1)
	s.createFile(all...)
	s.fill(all[:4]...) // the fifth is open
	for _, tt := range []struct {
		match store.FileMatch
		limit int
		want  []int
	}{
		{store.FileMatch{}, 100, []int{4, 3, 2, 1}},
		{store.FileMatch{}, 2, []int{4, 3}},
		{store.FileMatch{Query: "rePORT"}, 100, []int{4, 3, 1}},
		{store.FileMatch{Query: "%_DONE"}, 100, []int{2}},
		{store.FileMatch{Query: "ärger"}, 100, []int{2}},
		{store.FileMatch{Query: "%"}, 100, []int{2}},
		{store.FileMatch{Query: "nothing"}, 100, nil},
		{store.FileMatch{From: "Bo"}, 100, []int{2}},
		{store.FileMatch{From: "bo"}, 100, nil},
		{store.FileMatch{Targets: []string{""}}, 100, []int{2, 1}},
		{store.FileMatch{Targets: []string{}}, 100, nil},
		{store.FileMatch{Targets: []string{"", "@ops"}}, 100, []int{3, 2, 1}},
		{store.FileMatch{Targets: []string{""}, Member: id("bo", 1)}, 100, []int{4, 2, 1}},
		{store.FileMatch{Except: []string{id("ada", 1)}}, 100, []int{4, 2}},
	} {
		got, err := s.ListFiles(s.ctx, id("mesh", 1), tt.match, tt.limit)
		s.must(err)
		var want []*store.File
		for _, n := range tt.want {
			want = append(want, all[n-1])
		}
		same(s, got, want)
	}
	got, err := s.ListFiles(s.ctx, id("mesh", 2), store.FileMatch{}, 100)
	s.must(err)
	same(s, got, nil)
}

func createFileTwice(s *suite) {
	s.mesh(0)
	f, again := file(1), file(2)
	f.Request, again.Request = [32]byte{1}, [32]byte{1}
	s.createFile(f)
	got, fresh, err := s.CreateFile(s.ctx, again, nil, fileRoom())
	if err != nil || fresh || got != f.ID {
		s.Errorf("got %s, fresh %v, error %v", got, fresh, err)
	}
	s.fill(f)
	s.createFile(again)
}

// wantFull wants a file not to fit, for this reason.
func (s *suite) wantFull(f *store.File, room store.FileRoom, want store.FileFullError) {
	s.Helper()
	_, _, err := s.CreateFile(s.ctx, f, nil, room)
	full, ok := errors.AsType[*store.FileFullError](err)
	if !ok || *full != want || !errors.Is(err, store.ErrExhausted) {
		s.Errorf("got %v, want %v", err, &want)
	}
}

func filesFull(s *suite) {
	s.mesh(0)
	a, b := file(1), file(2)
	b.MemberID = id("bo", 1)
	s.createFile(a, b)
	room := func(edit func(*store.FileRoom)) store.FileRoom {
		r := fileRoom()
		edit(&r)
		return r
	}
	s.wantFull(file(3), room(func(r *store.FileRoom) { r.Open = 1 }), store.FileFullError{What: "uploads", Member: true, Most: 1})
	s.wantFull(file(3), room(func(r *store.FileRoom) { r.Files.Member = 1 }), store.FileFullError{What: "files", Member: true, Most: 1})
	s.wantFull(file(3), room(func(r *store.FileRoom) { r.Files.Mesh = 2 }), store.FileFullError{What: "files", Most: 2})
	s.wantFull(file(3), room(func(r *store.FileRoom) { r.Bytes.Member = 19 }), store.FileFullError{What: "bytes", Member: true, Most: 19})
	s.wantFull(file(3), room(func(r *store.FileRoom) { r.Bytes.Mesh = 29 }), store.FileFullError{What: "bytes", Most: 29})
	_, fresh, err := s.CreateFile(s.ctx, file(3), nil, room(func(r *store.FileRoom) { r.Bytes.Mesh, r.Bytes.Member = 30, 20 }))
	if err != nil || !fresh {
		s.Fatalf("what just fits is refused: %v", err)
	}
	s.fill(a)
	s.must(s.DropFile(s.ctx, a.MeshID, a.ID, now()))
	_, fresh, err = s.CreateFile(s.ctx, file(4), nil, room(func(r *store.FileRoom) { r.Bytes.Mesh, r.Bytes.Member = 30, 20 }))
	if err != nil || !fresh {
		s.Errorf("what is gone still takes room: %v", err)
	}
	// Its row does, so that nobody makes rows without end by deleting them.
	s.wantFull(file(5), room(func(r *store.FileRoom) { r.Files.Member = 3 }), store.FileFullError{What: "files", Member: true, Most: 3})
	s.must(s.EraseFile(s.ctx, a.ID))
	_, fresh, err = s.CreateFile(s.ctx, file(5), nil, room(func(r *store.FileRoom) { r.Files.Member = 3 }))
	if err != nil || !fresh {
		s.Errorf("what is erased still takes room: %v", err)
	}
}

func filesRace(s *suite) {
	s.mesh(0)
	s.createFile(file(1))
	done, err := atOnce(func(n int) error {
		room := fileRoom()
		room.Bytes.Mesh = 20
		_, _, err := s.CreateFile(s.ctx, file(n+2), nil, room)
		return err
	}, store.ErrExhausted)
	s.must(err)
	if done != 1 {
		s.Errorf("%d got the last place", done)
	}
}

func dropFile(s *suite) {
	s.mesh(0)
	f := file(1)
	s.createFile(f, file(2))
	s.fill(f)
	s.must(s.SetFileKey(s.ctx, &store.FileKey{FileID: f.ID, Peer: key(1), Sealed: "x", GrantedAt: now()}, 10))
	s.must(s.FileAccessed(s.ctx, &store.FileAccess{FileID: f.ID, Peer: key(1), Name: "Bo", At: now()}, 10))
	s.wantErr(s.DropFile(s.ctx, id("mesh", 2), f.ID, now()), store.ErrNotFound)
	s.must(s.EraseFile(s.ctx, f.ID)) // it is not gone: nothing happens
	s.wantFile(f)
	s.must(s.DropFile(s.ctx, f.MeshID, f.ID, now()))
	s.wantErr(s.DropFile(s.ctx, f.MeshID, f.ID, now()), store.ErrNotFound)
	_, err := s.SealedKey(s.ctx, f.ID, key(1))
	s.wantErr(err, store.ErrNotFound)
	accesses, err := s.FileAccesses(s.ctx, f.ID, 10)
	s.must(err)
	same(s, accesses, nil)
	_, err = s.File(s.ctx, f.MeshID, f.ID)
	s.wantErr(err, store.ErrNotFound)
	s.wantErr(s.SetFileKey(s.ctx, &store.FileKey{FileID: f.ID, Peer: key(2), Sealed: "x", GrantedAt: now()}, 10), store.ErrNotFound)
	none, err := s.GoneFiles(s.ctx, now(), 10)
	s.must(err)
	same(s, none, nil)
	gone, err := s.GoneFiles(s.ctx, now().Add(time.Millisecond), 10)
	s.must(err)
	f.GoneAt = now()
	same(s, gone, []*store.File{f})
	s.must(s.EraseFile(s.ctx, f.ID))
	pieces, err := s.FilePieces(s.ctx, f.ID)
	s.must(err)
	same(s, pieces, nil)
	s.must(s.FileAccessed(s.ctx, &store.FileAccess{FileID: f.ID, Peer: key(1), Name: "Bo", At: now()}, 10))
}

func expireFiles(s *suite) {
	s.mesh(0)
	a, b, c := file(1), file(2), file(3)
	a.ExpiresAt, b.ExpiresAt = now().Add(2*time.Second), now().Add(time.Second)
	s.createFile(a, b, c)
	for _, tt := range []struct {
		after time.Duration
		limit int
		want  []*store.File
	}{
		{0, 10, nil}, {time.Second, 10, []*store.File{b}}, {time.Hour, 10, []*store.File{b, a}}, {time.Hour, 1, []*store.File{b}},
	} {
		got, err := s.ExpiredFiles(s.ctx, now().Add(tt.after), tt.limit)
		s.must(err)
		same(s, got, tt.want)
	}
	s.must(s.DropFile(s.ctx, b.MeshID, b.ID, now()))
	got, err := s.ExpiredFiles(s.ctx, now().Add(time.Hour), 10)
	s.must(err)
	same(s, got, []*store.File{a})
	s.must(s.DropFile(s.ctx, a.MeshID, a.ID, now()))
	_, err = s.ChangeMesh(s.ctx, c.MeshID, func(m *store.Mesh) error {
		m.ArchivedAt = now()
		return nil
	})
	s.must(err)
	got, err = s.ExpiredFiles(s.ctx, now(), 10)
	s.must(err)
	same(s, got, []*store.File{c})
}

func fileKeys(s *suite) {
	s.mesh(0)
	f := file(1)
	keys := []store.FileKey{{Peer: key(1), Sealed: "one", GrantedAt: now()}, {Peer: key(1), Sealed: "two", GrantedAt: now()}}
	if _, _, err := s.CreateFile(s.ctx, f, keys, fileRoom()); err != nil {
		s.Fatal(err)
	}
	set := func(peer sdk.Key, sealed string) error {
		return s.SetFileKey(s.ctx, &store.FileKey{FileID: f.ID, Peer: peer, Sealed: sealed, GrantedAt: now()}, 2)
	}
	s.must(set(key(2), "three"))
	s.must(set(key(2), "four"))
	if err := set(key(3), "five"); !errors.Is(err, store.ErrExhausted) {
		s.Errorf("got %v", err)
	}
	for _, tt := range []struct {
		peers []sdk.Key
		want  string
	}{
		{[]sdk.Key{key(1)}, "two"}, {[]sdk.Key{key(2), key(1)}, "four"}, {[]sdk.Key{key(3), key(1)}, "two"}, {[]sdk.Key{key(3)}, ""}, {nil, ""},
	} {
		got, err := s.SealedKey(s.ctx, f.ID, tt.peers...)
		if got != tt.want || (tt.want == "") != errors.Is(err, store.ErrNotFound) {
			s.Errorf("got %q, error %v, want %q", got, err, tt.want)
		}
	}
}

func fileAccesses(s *suite) {
	s.mesh(0)
	f := file(1)
	s.createFile(f)
	access := func(peer byte, after time.Duration) *store.FileAccess {
		a := &store.FileAccess{FileID: f.ID, Peer: key(peer), Name: fmt.Sprint("peer ", peer), At: now().Add(after)}
		s.must(s.FileAccessed(s.ctx, a, 3))
		return a
	}
	access(1, 0)
	b, a := access(2, time.Second), access(1, 2*time.Second)
	got, err := s.FileAccesses(s.ctx, f.ID, 10)
	s.must(err)
	same(s, got, []*store.FileAccess{a, b})
	c, d := access(3, 3*time.Second), access(4, 4*time.Second)
	got, err = s.FileAccesses(s.ctx, f.ID, 10)
	s.must(err)
	same(s, got, []*store.FileAccess{d, c, a})
	got, err = s.FileAccesses(s.ctx, f.ID, 1)
	s.must(err)
	same(s, got, []*store.FileAccess{d})
}

func reopenFiles(s *suite) {
	s.mesh(0)
	f := file(1)
	s.createFile(f)
	s.fill(f)
	s.reopen()
	s.wantFile(f)
}

package feature

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/files"
	"github.com/claudemesh/broker/core/object/disk"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/store/sqlite"
	"github.com/claudemesh/broker/core/token"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// shelf is a rig whose files have a disk. The mesh may have 1,000 bytes.
type shelf struct {
	*rig
	reg   *Registry
	book  *FileBook
	files *files.Files
	dir   string
}

func newShelf(t testing.TB) *shelf {
	t.Helper()
	return newShelfOn(t, openStore(t))
}

func newShelfOn(t testing.TB, st *sqlite.Store) *shelf {
	t.Helper()
	s := &shelf{rig: newRigOn(t, st), dir: t.TempDir()}
	objects, err := disk.Open(s.dir)
	s.must(err)
	t.Cleanup(func() { s.must(objects.Close()) })
	s.files = files.New(files.Options{
		Store: st, Objects: objects, Keep: time.Hour, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Record: func(context.Context, *store.File) error { return nil },
	})
	s.book = NewFileBook(st, s.roster, s.rig.dir, FileOptions{
		Bytes: s.files, Tickets: token.NewKeys([token.KeySize]byte{1}), Base: func() string { return "http://broker" },
		FileBytes: 400, MeshBytes: 1000,
	})
	s.reg = NewRegistry()
	s.reg.roster = s.roster
	Files(s.reg, s.book)
	return s
}

func (s *shelf) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// do asks and decodes the answer.
func do[T any](s *shelf, p *peer, format string, args ...any) T {
	s.t.Helper()
	answer, _ := p.askOf(s.reg, fmt.Sprintf(format, args...))
	got, err := wire.Decode[T]([]byte(answer))
	if err != nil {
		s.t.Fatalf("%v: %s", err, answer)
	}
	return *got
}

// begin asks for a ticket with some more fields.
func (s *shelf) begin(p *peer, name string, size int, more string) wire.FileTicketResult {
	s.t.Helper()
	return do[wire.FileTicketResult](s, p, `{"type":"file_ticket","name":%s,"size":%d%s}`, quoted(name), size, more)
}

// share uploads a file of ten bytes, and returns its id.
func (s *shelf) share(p *peer, name, more string) string {
	s.t.Helper()
	got := s.begin(p, name, 10, more)
	if got.Error != "" {
		s.t.Fatal(got.Error)
	}
	f, err := s.store.File(s.t.Context(), s.mesh.ID, got.FileID)
	s.must(err)
	_, err = s.files.Append(s.t.Context(), f, strings.NewReader("0123456789"), 10, nil)
	s.must(err)
	return got.FileID
}

func (s *shelf) get(p *peer, id string) wire.FileURL {
	s.t.Helper()
	return do[wire.FileURL](s, p, `{"type":"get_file","fileId":%s}`, quoted(id))
}

// wantGet wants a peer to get a file, or to be refused with a reason.
func (s *shelf) wantGet(p *peer, id, reason string) {
	s.t.Helper()
	got := s.get(p, id)
	if (got.URL == "") != (reason != "") || !strings.HasPrefix(got.Error, reason) || got.FileID != id {
		s.t.Errorf("%s: got %+v, want %q", p.name, got, reason)
	}
}

// names returns the names of the files that a peer sees.
func (s *shelf) names(p *peer, more string) []string {
	s.t.Helper()
	var list []string
	for _, f := range do[wire.FileList](s, p, `{"type":"list_files"%s}`, more).Files {
		list = append(list, f.Name)
	}
	return list
}

func (s *shelf) grant(from, to string, what string) {
	s.t.Helper()
	s.join(from, named(from+" granting")).ask(fmt.Sprintf(`{"type":"set_grants","grants":{%q:%s}}`, keyOf(to), what))
}

func TestFileIsShared(t *testing.T) {
	s := newShelf(t)
	bo, cy := s.join("bo"), s.join("cy")
	id := s.share(bo, "notes.txt", `,"tags":["a"],"mimeType":"text/plain","persistent":false`)
	got := s.get(cy, id)
	at, err := url.Parse(got.URL)
	s.must(err)
	member, peer, err := s.book.Redeem(t.Context(), at.Query().Get("ticket"), TicketDownload, s.mesh.ID, id)
	if err != nil || member.ID != s.members["cy"].ID || peer != cy.session.Key || at.Host != "broker" || at.Path != "/download/"+id {
		t.Errorf("got %+v, member %+v, error %v", got, member, err)
	}
	if got.Name != "notes.txt" || got.Encrypted || got.SealedKey != "" {
		t.Errorf("got %+v", got)
	}
	list := do[wire.FileList](s, cy, `{"type":"list_files","query":"NOTES","from":"bo"}`)
	if len(list.Files) != 1 || list.Files[0].ID != id || list.Files[0].Size != 10 || list.Files[0].Persistent || list.Files[0].UploadedBy != "bo" {
		t.Errorf("got %+v", list)
	}
	if none := s.names(cy, `,"query":"no_es"`); len(none) > 0 {
		t.Errorf("a wildcard finds %v", none)
	}
	s.wantGet(cy, "nothing", "not_found")
	open := s.begin(bo, "open", 10, "")
	s.wantGet(bo, open.FileID, "not_found")
}

// Each use of a ticket is for one file, one purpose and a member that is still here.
func TestFileTicketIsForOneUse(t *testing.T) {
	s := newShelf(t)
	bo := s.join("bo")
	got := s.begin(bo, "x", 10, "")
	at, err := url.Parse(got.UploadURL)
	s.must(err)
	ticket := at.Query().Get("ticket")
	redeem := func(use, mesh, file string) error {
		_, _, err := s.book.Redeem(context.Background(), ticket, use, mesh, file)
		return err
	}
	s.must(redeem(TicketUpload, s.mesh.ID, got.FileID))
	for name, err := range map[string]error{
		"another use":  redeem(TicketDownload, s.mesh.ID, got.FileID),
		"another mesh": redeem(TicketUpload, "other", got.FileID),
		"another file": redeem(TicketUpload, s.mesh.ID, "other"),
	} {
		if refused, ok := errors.AsType[*core.Error](err); !ok || refused.Code != sdk.ReasonUnauthorized {
			t.Errorf("%s: got %v", name, err)
		}
	}
	s.leave("bo")
	if redeem(TicketUpload, s.mesh.ID, got.FileID) == nil {
		t.Error("a member that was banned still uploads")
	}
}

// A ticket is worth nothing in a mesh that was deleted.
func TestFileTicketEndsWithTheMesh(t *testing.T) {
	s := newShelf(t)
	bo := s.join("bo")
	got := s.begin(bo, "x", 10, "")
	at, err := url.Parse(got.UploadURL)
	s.must(err)
	_, err = s.store.ChangeMesh(t.Context(), s.mesh.ID, func(m *store.Mesh) error {
		m.ArchivedAt = time.Now()
		return nil
	})
	s.must(err)
	s.roster.ForgetMesh(s.mesh.ID)
	_, _, err = s.book.Redeem(t.Context(), at.Query().Get("ticket"), TicketUpload, s.mesh.ID, got.FileID)
	if refused, ok := errors.AsType[*core.Error](err); !ok || refused.Code != sdk.ReasonUnauthorized {
		t.Errorf("got %v", err)
	}
}

// TestFlawExt54: files for a group are read by the group, and a file for a session,
// or sealed to a member, is not lost with the session.
func TestFlawExt54(t *testing.T) {
	s := newShelf(t)
	bo, cy, gil := s.join("bo"), s.join("cy"), s.join("gil")
	ops := s.share(bo, "ops", `,"targetSpec":"@ops"`)
	s.wantGet(cy, ops, "forbidden: file not targeted at you")
	s.must(s.rig.dir.JoinGroup(cy.session, store.Group{Name: "ops/night"}))
	s.wantGet(cy, ops, "")
	if got := s.names(cy, ""); !slices.Equal(got, []string{"ops"}) {
		t.Errorf("the group sees %v", got)
	}
	s.wantGet(gil, ops, "forbidden")

	s.must(s.store.Commit(t.Context(), &store.Batch{SessionKeys: []*store.SessionKey{ // as a hello leaves it
		{MeshID: s.mesh.ID, Key: cy.session.Key, MemberID: cy.member.ID, ClaimedAt: time.Now()},
	}}))
	forCy := s.share(bo, "cy", `,"targetSpec":"`+cy.session.Key.String()+`"`)
	later := s.join("cy", named("cy later"))
	s.wantGet(later, forCy, "")
	s.wantGet(cy, forCy, "")
	s.wantGet(gil, forCy, "forbidden")

	sealed := s.share(bo, "sealed", fmt.Sprintf(`,"encrypted":true,"fileKeys":[{"peerPubkey":%q,"sealedKey":"k1"}]`, keyOf("cy")))
	if got := s.get(later, sealed); got.SealedKey != "k1" || got.URL == "" {
		t.Errorf("got %+v", got)
	}
	s.wantGet(gil, sealed, "forbidden: no decryption key")
	s.wantGet(bo, sealed, "") // its uploader, without a key
}

func TestFileTargets(t *testing.T) {
	s := newShelf(t)
	bo, cy, gil := s.join("bo"), s.join("cy"), s.join("gil")
	for target, who := range map[string]string{"*": "bo cy gil", "@all": "bo cy gil", keyOf("cy").String(): "bo cy", "@nobody": "bo"} {
		id := s.share(bo, "for "+target, `,"targetSpec":"`+target+`"`)
		for _, p := range []*peer{bo, cy, gil} {
			reason := "forbidden"
			if strings.Contains(who, p.name) {
				reason = ""
			}
			s.wantGet(p, id, reason)
		}
	}
	for _, target := range []string{"bo", "#topic", "@", "@all ", strings.Repeat("0", 64), "deadbeef"} {
		if got := s.begin(bo, "x", 1, `,"targetSpec":`+quoted(target)); !strings.HasPrefix(got.Error, "invalid: targetSpec") {
			t.Errorf("%q: got %+v", target, got)
		}
	}
	if got := s.names(cy, ""); len(got) != 3 {
		t.Errorf("cy sees %v", got)
	}
	if got := s.names(gil, ""); len(got) != 4 {
		t.Errorf("an admin, who may delete all, sees %v", got)
	}
}

// Uploading is sharing, but not with those whom the uploader's grants leave out.
func TestFileGrants(t *testing.T) {
	s := newShelf(t)
	bo, cy := s.join("bo"), s.join("cy")
	all := s.share(bo, "all", "")
	mine := s.share(bo, "cy's", `,"targetSpec":"`+keyOf("cy").String()+`"`)
	for _, tt := range []struct{ grants, all, mine string }{
		{`null`, "", ""}, {`["dm"]`, "forbidden: bo does not let you", ""}, {`["file-read"]`, "", ""}, {`[]`, "forbidden", "forbidden"},
	} {
		s.grant("bo", "cy", tt.grants)
		s.wantGet(cy, all, tt.all)
		s.wantGet(cy, mine, tt.mine)
		want := 2
		if tt.all != "" {
			want = 0 // in the list, a file that is hidden by grants is for nobody in particular
		}
		if got := s.names(cy, ""); len(got) != want {
			t.Errorf("with %s cy sees %v", tt.grants, got)
		}
	}
	s.leave("bo")
	s.wantGet(cy, all, "")
}

// A group whose name is as long as a key is no key: its file names nobody.
func TestFileGrantsOfALongGroup(t *testing.T) {
	s := newShelf(t)
	bo, cy := s.join("bo"), s.join("cy")
	group := strings.Repeat("g", 63)
	s.must(s.rig.dir.JoinGroup(cy.session, store.Group{Name: group}))
	id := s.share(bo, "x", `,"targetSpec":"@`+group+`"`)
	s.wantGet(cy, id, "")
	s.grant("bo", "cy", `["dm"]`)
	s.wantGet(cy, id, "forbidden: bo does not let you")
}

// TestFlawExt20: who got a file is told to those who may have it, in their own mesh.
func TestFlawExt20(t *testing.T) {
	st := openStore(t)
	s, other := newShelfOn(t, st), newShelfOn(t, st)
	bo, cy, gil, stranger := s.join("bo"), s.join("cy"), s.join("gil"), other.join("bo")
	id := s.share(bo, "cy's", `,"targetSpec":"`+keyOf("cy").String()+`"`)
	f, err := s.book.Find(t.Context(), s.mesh.ID, id)
	s.must(err)
	s.must(s.book.Served(t.Context(), f, keyOf("cy"), "cy"))
	accesses := func(s *shelf, p *peer) int {
		return len(do[wire.FileStatusResult](s, p, `{"type":"file_status","fileId":%q}`, id).Accesses)
	}
	if accesses(s, bo) != 1 || accesses(s, cy) != 1 || accesses(s, gil) != 1 {
		t.Error("who may know does not")
	}
	if accesses(other, stranger) != 0 {
		t.Error("another mesh knows")
	}
	other.wantGet(stranger, id, "not_found")
	if got := do[wire.FileStatusResult](s, cy, `{"type":"file_status","fileId":"nothing"}`); got.Accesses == nil || got.Error != "" {
		t.Errorf("got %+v", got)
	}
	secret := s.share(gil, "gil's", `,"targetSpec":"`+keyOf("bo").String()+`"`)
	s.must(s.book.Served(t.Context(), &store.File{ID: secret}, keyOf("bo"), "bo"))
	id = secret
	if accesses(s, cy) != 0 {
		t.Error("one whom the file is not for knows")
	}
}

// TestFlawExt21: nobody deletes another member's files without the permission, and the
// audit log knows who did.
func TestFlawExt21(t *testing.T) {
	s := newShelf(t)
	bo, bo2, cy, gil := s.join("bo"), s.join("bo", named("bo's other")), s.join("cy"), s.join("gil")
	first, second, third := s.share(bo, "1", ""), s.share(bo, "2", ""), s.share(bo, "3", "")
	remove := func(p *peer, id string) (wire.Ack, []sdk.Record) {
		answer, records := p.askOf(s.reg, `{"type":"delete_file","fileId":"`+id+`"}`)
		ack, err := wire.Decode[wire.Ack]([]byte(answer))
		s.must(err)
		return *ack, records
	}
	if ack, records := remove(cy, first); !strings.HasPrefix(ack.Error, "forbidden: only the member") || len(records) > 0 {
		t.Errorf("got %+v, %v", ack, records)
	}
	for id, p := range map[string]*peer{first: bo, second: bo2, third: gil} {
		ack, records := remove(p, id)
		if ack.Error != "" || ack.MessageID != id || len(records) != 1 || records[0].Event != "file_deleted" {
			t.Errorf("%s: got %+v, %v", p.name, ack, records)
		}
		if again, records := remove(p, id); again.Error != "" || len(records) > 0 {
			t.Errorf("again: got %+v, %v", again, records)
		}
		s.wantGet(bo, id, "not_found")
	}
	left := 0
	s.must(filepath.WalkDir(filepath.Join(s.dir, "objects"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left++
		}
		return err
	}))
	if left > 0 {
		t.Errorf("%d objects are left", left)
	}
}

func TestGrantFileAccess(t *testing.T) {
	s := newShelf(t)
	bo, bo2, cy := s.join("bo"), s.join("bo", named("bo later")), s.join("cy")
	id := s.share(bo, "x", `,"encrypted":true`)
	s.wantGet(cy, id, "forbidden: no decryption key")
	allow := func(p *peer, id, sealed string) wire.FileAccessGranted {
		return do[wire.FileAccessGranted](s, p, `{"type":"grant_file_access","fileId":%q,"peerPubkey":%q,"sealedKey":%q}`, id, keyOf("cy"), sealed)
	}
	if got := allow(cy, id, "k"); !strings.HasPrefix(got.Error, "forbidden: only the file owner can grant access") {
		t.Errorf("got %+v", got)
	}
	if got := allow(bo, "nothing", "k"); !strings.HasPrefix(got.Error, "not_found") {
		t.Errorf("got %+v", got)
	}
	for _, sealed := range []string{"k1", "k1", "k2"} { // a request may be repeated
		if got := allow(bo2, id, sealed); got.Error != "" || got.FileID != id || got.PeerPubkey != keyOf("cy") {
			t.Errorf("got %+v", got)
		}
		if got := s.get(cy, id); got.SealedKey != sealed || got.URL == "" {
			t.Errorf("got %+v", got)
		}
	}
}

func TestFileLimits(t *testing.T) {
	s := newShelf(t)
	bo, cy := s.join("bo"), s.join("cy")
	for name, tt := range map[string]struct {
		size       int
		more, want string
	}{
		"no bytes":       {0, "", "invalid: empty body"},
		"less than none": {-5, "", "invalid"},
		"too many":       {401, "", "file too large (max 400 bytes)"},
		"idle keys":      {1, fmt.Sprintf(`,"fileKeys":[{"peerPubkey":%q,"sealedKey":"k"}]`, keyOf("cy")), "invalid: a file that is not encrypted"},
		"an empty key":   {1, fmt.Sprintf(`,"encrypted":true,"fileKeys":[{"peerPubkey":%q,"sealedKey":""}]`, keyOf("cy")), "invalid: file key 1"},
	} {
		if got := s.begin(bo, "x", tt.size, tt.more); !strings.HasPrefix(got.Error, tt.want) || got.FileID != "" {
			t.Errorf("%s: got %+v, want %q", name, got, tt.want)
		}
	}
	if got := s.begin(bo, "x", 400, ""); got.Error != "" {
		t.Error(got.Error)
	}
	if got := s.begin(bo, "x", 101, ""); !strings.HasPrefix(got.Error, "capacity: a member may have 500 bytes") {
		t.Errorf("got %+v", got)
	}
	if got := s.begin(cy, "x", 400, ""); got.Error != "" {
		t.Errorf("one member takes all the room: %s", got.Error)
	}
	for range uploadsAtOnce - 1 {
		s.begin(cy, "x", 1, "")
	}
	if got := s.begin(cy, "x", 1, ""); !strings.HasPrefix(got.Error, "capacity: 32 uploads of yours are not finished") {
		t.Errorf("got %+v", got)
	}
}

// A client that asks again, because the answer was lost, gets the same upload.
func TestFileTicketTwice(t *testing.T) {
	s := newShelf(t)
	bo := s.join("bo")
	first := s.begin(bo, "x", 10, `,"_reqId":"r1"`)
	if again := s.begin(bo, "x", 10, `,"_reqId":"r1"`); again.FileID != first.FileID {
		t.Errorf("got %s, then %s", first.FileID, again.FileID)
	}
	if other := s.begin(bo, "x", 10, `,"_reqId":"r2"`); other.FileID == first.FileID {
		t.Error("another request got the same upload")
	}
}

func TestFilesOff(t *testing.T) {
	s := newShelf(t)
	s.book.Bytes = nil
	bo := s.join("bo")
	for frame, want := range map[string]string{
		`{"type":"file_ticket","name":"x","size":1}`:                                  `{"type":"file_ticket_result","error":"not_available: `,
		`{"type":"get_file","fileId":"x"}`:                                            `{"type":"file_url","fileId":"x","url":"","name":"","encrypted":false,"error":"not_available: `,
		`{"type":"list_files"}`:                                                       `{"type":"file_list","files":[]}`,
		`{"type":"file_status","fileId":"x"}`:                                         `{"type":"file_status_result","fileId":"x","accesses":[],"error":"not_available: `,
		`{"type":"delete_file","fileId":"x"}`:                                         `{"type":"ack","id":"x","messageId":"","queued":false,"error":"not_available: `,
		`{"type":"get_file"}`:                                                         `{"type":"file_url","fileId":"","url":"","name":"","encrypted":false,"error":"invalid: `,
		`{"type":"list_files","query":7}`:                                             `{"type":"file_list","files":[],"error":"invalid: `,
		`{"type":"grant_file_access","fileId":"x","peerPubkey":"zz","sealedKey":"k"}`: `{"type":"grant_file_access_ok","fileId":"","peerPubkey":`,
	} {
		if got, _ := bo.askOf(s.reg, frame); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s", frame, got)
		}
	}
}

func TestCleanName(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt": "a.txt", "../../etc/passwd": "passwd", `C:\x\y.doc`: "y.doc", "": "file", "...": "file", ".profile": "profile", "a/": "file",
		"a\r\nX: y": "aX y", "a\x00b": "ab", "photo\u202egpj.exe": "photogpj.exe", `a"b`: "ab", "Ärger 東京.txt": "Ärger 東京.txt", " a ": "a",
		strings.Repeat("ä", 200): strings.Repeat("ä", 127), "\xff\xfe": "file", "x. ": "x",
	} {
		if got := cleanName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	for text, want := range map[string]string{
		"": anyBytes, "text/plain": "text/plain", "Text/HTML; charset=utf-8; x=y": "text/html; charset=utf-8", "nonsense": anyBytes, "a/b\r\nc": anyBytes,
	} {
		if got := mediaType(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// Whatever is asked is answered in its own type, nobody gets what is not for them,
// and no more is kept than may be.
func TestFileRequests(t *testing.T) {
	s := newShelf(t)
	peers := []*peer{s.join("bo"), s.join("cy"), s.join("gil")}
	answers := map[string]string{
		"file_ticket": "file_ticket_result", "get_file": "file_url", "list_files": "file_list", "file_status": "file_status_result",
		"grant_file_access": "grant_file_access_ok", "delete_file": "ack",
	}
	ids := []string{"", "nothing", s.share(peers[0], "first", "")}
	rapid.Check(t, func(rt *rapid.T) {
		p := rapid.SampledFrom(peers).Draw(rt, "peer")
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "*", "@ops", "@", keyOf("cy").String(), "../x"}))
		typ := rapid.SampledFrom([]string{"file_ticket", "get_file", "list_files", "file_status", "grant_file_access", "delete_file"}).Draw(rt, "type")
		frame, err := json.Marshal(map[string]any{
			"type": typ, "_reqId": "r", "fileId": rapid.SampledFrom(ids).Draw(rt, "id"), "name": text.Draw(rt, "name"),
			"size": rapid.Int64Range(-1, 500).Draw(rt, "size"), "targetSpec": text.Draw(rt, "target"), "mimeType": text.Draw(rt, "media"),
			"query": text.Draw(rt, "query"), "from": text.Draw(rt, "from"), "peerPubkey": text.Draw(rt, "peer key"), "sealedKey": text.Draw(rt, "sealed"),
		})
		s.must(err)
		answer, _ := p.askOf(s.reg, string(frame))
		if !strings.Contains(answer, `"type":"`+answers[typ]+`"`) || !bytes.Contains([]byte(answer), []byte(`"_reqId":"r"`)) {
			rt.Fatalf("%s: got %s", frame, answer)
		}
		var got struct {
			FileID string
			URL    string
			Error  string
		}
		s.must(json.Unmarshal([]byte(answer), &got))
		if typ == "file_ticket" && got.FileID != "" && len(ids) < 20 {
			ids = append(ids, got.FileID)
		}
		for _, m := range []string{"bo", "cy", "gil"} {
			use, err := s.use(s.members[m].ID)
			if err != nil || use > 500 {
				rt.Fatalf("%s has %d bytes, error %v", m, use, err)
			}
		}
	})
}

// use returns how many bytes a member has.
func (s *shelf) use(member string) (total int64, err error) {
	list, err := s.store.ListFiles(s.t.Context(), s.mesh.ID, store.FileMatch{Targets: []string{"\x01"}, Member: member}, 1000)
	for _, f := range list {
		total += f.Size
	}
	return total, err
}

package app_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/object/disk"
	"github.com/claudemesh/broker/core/store"
)

// shelf is a rig that shares files. Ann is the account of ada, and ben of bo.
type shelf struct {
	*rig
	ann, ben string // their tokens
	ada, bo  *store.Member
	secret   map[string]ed25519.PrivateKey
}

// withDisk keeps the files of a broker below a directory.
func withDisk(t testing.TB, dir string) func(*app.Options) {
	return func(o *app.Options) {
		d, err := disk.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		o.Objects = d
	}
}

// withFiles has brokers keep files in a directory that all of them see.
func withFiles(t testing.TB) func(*config.Config) {
	t.Helper()
	dir := t.TempDir()
	return func(c *config.Config) { c.Files.Dir = dir }
}

func newShelf(t testing.TB) *shelf {
	t.Helper()
	s := &shelf{rig: start(t, filepath.Join(t.TempDir(), "broker.db"), withFiles(t))}
	s.newMesh()
	s.people()
	return s
}

// people enrols ada and bo.
func (s *shelf) people() {
	s.t.Helper()
	s.secret = map[string]ed25519.PrivateKey{}
	s.ann, s.ben = s.account("ann"), s.account("ben")
	s.ada, s.bo = s.enrolAs("ada", "ann"), s.enrolAs("bo", "ben")
}

func (s *shelf) enrolAs(name, account string) *store.Member {
	s.t.Helper()
	key, secret := identity.NewKeypair()
	s.secret[name] = secret
	m := &store.Member{
		ID: identity.NewID(), MeshID: s.mesh.ID, Key: key, DisplayName: name, Role: store.RoleMember,
		MessageMode: "push", AccountID: account, JoinedAt: time.Now(),
	}
	if err := s.store.AddMember(context.Background(), m); err != nil {
		s.t.Fatal(err)
	}
	return m
}

// upload sends a file with a token and more headers, as "name: value".
func (s *shelf) upload(bearer string, by *store.Member, name, body string, more ...string) (status int, answer map[string]any) {
	s.t.Helper()
	h := http.Header{
		"Authorization": {"Bearer " + bearer}, "X-Mesh-Id": {s.mesh.ID}, "X-Member-Id": {by.ID}, "X-File-Name": {name},
		"Content-Type": {"text/plain"},
	}
	for _, line := range more {
		field, value, _ := strings.Cut(line, ": ")
		h.Set(field, value)
	}
	status, answer, _ = s.askWith("POST", "/upload", h, body)
	return status, answer
}

// share uploads a file and returns its id.
func (s *shelf) share(bearer string, by *store.Member, name, body string, more ...string) string {
	s.t.Helper()
	status, answer := s.upload(bearer, by, name, body, more...)
	id, _ := answer["fileId"].(string)
	if status != http.StatusOK || id == "" || answer["ok"] != true {
		s.t.Fatalf("got %d %v", status, answer)
	}
	return id
}

// fetch gets a file with a token, "" for none.
func (s *shelf) fetch(bearer, target string, more ...string) (status int, body string, h http.Header) {
	s.t.Helper()
	header := http.Header{}
	if bearer != "" {
		header.Set("Authorization", "Bearer "+bearer)
	}
	for _, line := range more {
		field, value, _ := strings.Cut(line, ": ")
		header.Set(field, value)
	}
	status, b, h := s.askRaw("GET", target, header, "")
	return status, string(b), h
}

func (s *shelf) download(id string) string { return "/download/" + id + "?mesh=" + s.mesh.ID }

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	const body = "hello, files"
	id := s.share(s.ann, s.ada, "notes.txt", body, `X-Tags: ["a","b"]`)
	status, got, h := s.fetch(s.ben, s.download(id))
	if status != http.StatusOK || got != body || h.Get("Content-Type") != "text/plain" || h.Get("Content-Length") != "12" ||
		h.Get("Content-Disposition") != "attachment; filename=notes.txt" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got %d %q %v", status, got, h)
	}
	sum := sha256.Sum256([]byte(body))
	tag := `"` + hex.EncodeToString(sum[:]) + `"`
	for _, tt := range []struct {
		name, header string
		status       int
		body         string
	}{
		{"a range", "Range: bytes=7-11", http.StatusPartialContent, "files"},
		{"the end", "Range: bytes=-5", http.StatusPartialContent, "files"},
		{"a range of this file", "Range: bytes=0-4\nIf-Range: " + tag, http.StatusPartialContent, "hello"},
		{"a range of another file", "Range: bytes=0-4\nIf-Range: \"x\"", http.StatusOK, body},
		{"what it has already", "If-None-Match: " + tag, http.StatusNotModified, ""},
		{"what is no range", "Range: bytes=99-", http.StatusRequestedRangeNotSatisfiable, "invalid range: failed to overlap\n"},
	} {
		status, got, h := s.fetch(s.ben, s.download(id), strings.Split(tt.header, "\n")...)
		if status != tt.status || got != tt.body || h.Get("ETag") != tag && status != http.StatusRequestedRangeNotSatisfiable {
			t.Errorf("%s: got %d %q %v", tt.name, status, got, h)
		}
	}
	if status, got, h := s.askRaw("HEAD", s.download(id), http.Header{"Authorization": {"Bearer " + s.ben}}, ""); status != http.StatusOK ||
		len(got) > 0 || h.Get("Content-Length") != "12" || h.Get("Accept-Ranges") != "bytes" {
		t.Errorf("HEAD: got %d %q %v", status, got, h)
	}
	list, err := s.store.FileAccesses(t.Context(), id, 10)
	if err != nil || len(list) != 1 || list[0].Name != "bo" || list[0].Peer != s.bo.Key {
		t.Errorf("the access log has %v, error %v", list, err)
	}
	page, _, err := s.store.AuditPage(t.Context(), s.mesh.ID, store.AuditMatch{}, 10, 0)
	if err != nil || len(page) != 1 || page[0].EventType != "file_uploaded" || page[0].ActorMemberID != s.ada.ID {
		t.Errorf("the audit log has %v, error %v", page, err)
	}
}

// Each range is a question to the place where the bytes are: who asks for very many
// of them gets the file.
func TestDownloadOfManyRanges(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	body := strings.Repeat("0123456789", 10)
	id := s.share(s.ann, s.ada, "x", body)
	for n, want := range map[int]int{16: http.StatusPartialContent, 17: http.StatusOK} {
		status, got, _ := s.fetch(s.ben, s.download(id), "Range: bytes=0-0"+strings.Repeat(",2-2", n-1))
		if status != want || status == http.StatusOK && got != body {
			t.Errorf("%d ranges: got %d and %d bytes", n, status, len(got))
		}
	}
}

func TestUploadRefused(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	long := strings.Repeat("0", 64)
	for _, tt := range []struct {
		name   string
		bearer string
		body   string
		more   string
		status int
		want   string
	}{
		{"nobody", "x", "b", "", 401, "invalid_or_revoked_token"},
		{"no name", s.ann, "b", "X-File-Name: ", 400, "X-Mesh-Id, X-Member-Id, and X-File-Name headers required"},
		{"another's member", s.ben, "b", "", 403, "member does not belong to authenticated user"},
		{"no mesh", s.ann, "b", "X-Mesh-Id: none", 403, "member does not belong to authenticated user"},
		{"nothing", s.ann, "", "", 400, "empty body"},
		{"too much to come", s.ann, "b", "Upload-Length: 99999999999", 413, "file too large"},
		{"a target that is none", s.ann, "b", "X-Target-Spec: bo", 400, "targetSpec"},
		{"keys that are none", s.ann, "b", "X-Encrypted: true\nX-File-Keys: nonsense", 400, "X-File-Keys"},
		{"a key that is none", s.ann, "b", "X-Encrypted: true\nX-File-Keys: [{\"peerPubkey\":\"bo\",\"sealedKey\":\"k\"}]", 400, "X-File-Keys"},
		{"a zero key", s.ann, "b", "X-Encrypted: true\nX-File-Keys: [{\"peerPubkey\":\"" + long + "\",\"sealedKey\":\"k\"}]", 400, "file key"},
		{"too many tags", s.ann, "b", "X-Tags: [" + strings.Repeat(`"a",`, 32) + `"a"]`, 400, "X-Tags"},
	} {
		var more []string
		if tt.more != "" {
			more = strings.Split(tt.more, "\n")
		}
		status, answer := s.upload(tt.bearer, s.ada, "x", tt.body, more...)
		if text, _ := answer["error"].(string); status != tt.status || !strings.HasPrefix(text, tt.want) {
			t.Errorf("%s: got %d %v, want %d %s", tt.name, status, answer, tt.status, tt.want)
		}
	}
	// Tags that cannot be read are none, as with the original.
	s.share(s.ann, s.ada, "x", "b", "X-Tags: nonsense")
	// The existing command line sends the mesh in the place of the member.
	s.share(s.ann, s.ada, "x", "b", "X-Member-Id: "+s.mesh.Slug, "X-Mesh-Id: "+s.mesh.Slug)
}

// TestFlawExt22: a member uploads into its own mesh and into no other.
func TestFlawExt22(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	key, _ := identity.NewKeypair()
	other := &store.Mesh{ID: identity.NewID(), Slug: "other", Name: "Other", OwnerKey: key, CreatedAt: time.Now()}
	if err := s.store.CreateMesh(t.Context(), other, nil); err != nil {
		t.Fatal(err)
	}
	status, answer := s.upload(s.ann, s.ada, "x", "body", "X-Mesh-Id: "+other.ID)
	if n, err := s.store.CountFiles(t.Context(), other.ID); status != http.StatusForbidden || n != 0 || err != nil {
		t.Errorf("got %d %v, and %d files, error %v", status, answer, n, err)
	}
}

// TestFlawExt23: a file for somebody is downloaded by nobody else, and its name does
// not write headers.
func TestFlawExt23(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	eve, cy := s.account("eve"), s.account("cyd")
	s.enrolAs("eve", "eve")
	forBo := s.share(s.ann, s.ada, `../x"; filename="evil.exe`, "secret", "X-Target-Spec: "+s.bo.Key.String())
	sealed := s.share(s.ann, s.ada, "sealed", "secret", "X-Encrypted: true",
		fmt.Sprintf(`X-File-Keys: [{"peerPubkey":%q,"sealedKey":"k"}]`, s.bo.Key))
	for _, id := range []string{forBo, sealed} {
		for name, tt := range map[string]struct {
			bearer string
			status int
		}{
			"the uploader": {s.ann, 200}, "the recipient": {s.ben, 200}, "another member": {eve, 403}, "a stranger": {cy, 403}, "nobody": {"", 401},
		} {
			if status, body, _ := s.fetch(tt.bearer, s.download(id)); status != tt.status || status != 200 && strings.Contains(body, "secret") {
				t.Errorf("%s: got %d %s, want %d", name, status, body, tt.status)
			}
		}
	}
	if _, _, h := s.fetch(s.ben, s.download(forBo)); h.Get("Content-Disposition") != `attachment; filename="x; filename=evil.exe"` {
		t.Errorf("got %q", h.Get("Content-Disposition"))
	}
	if status, _, _ := s.fetch(s.ben, "/download/nothing?mesh="+s.mesh.ID); status != http.StatusNotFound {
		t.Errorf("got %d", status)
	}
	if status, _, _ := s.fetch(s.ben, "/download/"+forBo); status != http.StatusBadRequest {
		t.Errorf("got %d", status)
	}
}

// A member signs for itself. What it signs is not the body, unless it says the
// body's hash in the query.
func TestUploadSigned(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	send := func(target, body string) (int, map[string]any) {
		h := http.Header{
			"Authorization": {identity.SignHTTP(s.secret["bo"], "POST", target, s.mesh.ID, nil, time.Now())},
			"X-Mesh-Id":     {s.mesh.ID}, "X-Member-Id": {s.bo.ID}, "X-File-Name": {"x"},
		}
		status, answer, _ := s.askWith("POST", target, h, body)
		return status, answer
	}
	if status, answer := send("/upload", "hello"); status != http.StatusOK {
		t.Errorf("got %d %v", status, answer)
	}
	sum := sha256.Sum256([]byte("hello"))
	bound := "/upload?sha256=" + hex.EncodeToString(sum[:])
	if status, answer := send(bound, "hello"); status != http.StatusOK {
		t.Errorf("got %d %v", status, answer)
	}
	if status, answer := send(bound, "jello"); status != http.StatusBadRequest {
		t.Errorf("another body: got %d %v", status, answer)
	}
	if n, err := s.store.CountFiles(t.Context(), s.mesh.ID); n != 2 || err != nil {
		t.Errorf("there are %d files, error %v", n, err)
	}
}

// append sends bytes of an upload from an offset on.
func (s *shelf) append(target string, h http.Header, offset int, body []byte) (int, http.Header) {
	s.t.Helper()
	h = h.Clone()
	h.Set("Upload-Offset", strconv.Itoa(offset))
	h.Set("Content-Type", "application/offset+octet-stream")
	status, _, header := s.askRaw("PATCH", target, h, string(body))
	return status, header
}

// An upload goes on where it stopped, also after a restart, with the address that the
// socket gave and nothing else.
func TestUploadResumes(t *testing.T) {
	t.Parallel()
	path, objects := filepath.Join(t.TempDir(), "broker.db"), t.TempDir()
	s := &shelf{rig: startWith(t, path, nil, withDisk(t, objects))}
	s.newMesh()
	s.people()
	all := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	h := http.Header{
		"Authorization": {"Bearer " + s.ann}, "X-Mesh-Id": {s.mesh.ID}, "X-Member-Id": {s.ada.ID}, "X-File-Name": {"x"},
		"Upload-Length": {strconv.Itoa(len(all))},
	}
	status, answer, header := s.askWith("POST", "/upload", h, "")
	at := header.Get("Location")
	if status != http.StatusCreated || at == "" || header.Get("Tus-Resumable") != "1.0.0" {
		t.Fatalf("got %d %v %v", status, answer, header)
	}
	id, _ := answer["fileId"].(string)
	proof := http.Header{"Authorization": {"Bearer " + s.ann}}
	if status, _ := s.append(at, proof, 0, all[:100_000]); status != http.StatusNoContent {
		t.Fatalf("got %d", status)
	}
	for name, tt := range map[string]struct {
		offset, length, status int
		bearer                 string
	}{
		"a wrong offset": {0, 100_000, http.StatusConflict, s.ann}, "a crumb": {100_000, 10, http.StatusBadRequest, s.ann},
		"too much": {100_000, len(all), http.StatusBadRequest, s.ann}, "another's": {100_000, 100_000, http.StatusNotFound, s.ben},
	} {
		status, _ := s.append(at, http.Header{"Authorization": {"Bearer " + tt.bearer}}, tt.offset, make([]byte, tt.length))
		if status != tt.status {
			t.Errorf("%s: got %d", name, status)
		}
	}
	if status, _, _ := s.fetch(s.ann, s.download(id)); status != http.StatusNotFound {
		t.Errorf("half a file is there: %d", status)
	}
	s.stop()
	mesh, again := s.mesh, *s
	again.rig = startWith(t, path, nil, withDisk(t, objects))
	again.mesh = mesh
	_, _, header = again.askRaw("HEAD", at, proof, "")
	if header.Get("Upload-Offset") != "100000" || header.Get("Upload-Length") != strconv.Itoa(len(all)) {
		t.Fatalf("got %v", header)
	}
	if status, header := again.append(at, proof, 100_000, all[100_000:]); status != http.StatusNoContent || header.Get("Upload-Offset") != strconv.Itoa(len(all)) {
		t.Fatalf("got %d %v", status, header)
	}
	if status, body, _ := again.fetch(s.ben, s.download(id)); status != http.StatusOK || body != string(all) {
		t.Errorf("got %d and %d bytes", status, len(body))
	}
}

// While another request sends bytes of an upload, here or to another broker, nobody
// else does.
func TestUploadThatIsHeld(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	h := http.Header{
		"Authorization": {"Bearer " + s.ann}, "X-Mesh-Id": {s.mesh.ID}, "X-Member-Id": {s.ada.ID}, "X-File-Name": {"x"}, "Upload-Length": {"5"},
	}
	_, answer, header := s.askWith("POST", "/upload", h, "")
	id, _ := answer["fileId"].(string)
	at, proof, now := header.Get("Location"), http.Header{"Authorization": {"Bearer " + s.ann}}, time.Now()
	if err := s.store.HoldUpload(t.Context(), id, 0, "another", now, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if status, header := s.append(at, proof, 0, []byte("hello")); status != http.StatusLocked || header.Get("Retry-After") == "" {
		t.Errorf("got %d %v", status, header)
	}
	if err := s.store.KeepUpload(t.Context(), id, "another", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if status, header := s.append(at, proof, 0, []byte("hello")); status != http.StatusNoContent {
		t.Errorf("got %d %v", status, header)
	}
	entries, n, err := s.store.AuditPage(t.Context(), s.mesh.ID, store.AuditMatch{Event: "file_uploaded"}, 9, 0)
	if err != nil || n != 1 || entries[0].ActorMemberID != s.ada.ID || entries[0].ActorName != "ada" {
		t.Errorf("the audit log has %d entries, %v, error %v", n, entries, err)
	}
	unrecorded, err := s.store.UnrecordedFiles(t.Context(), time.Now().Add(time.Hour), 9)
	if err != nil || len(unrecorded) > 0 {
		t.Errorf("unrecorded are %v, error %v", unrecorded, err)
	}
}

// What does not arrive whole leaves nothing, and takes no room.
func TestUploadBreaksOff(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http"+strings.TrimSuffix(strings.TrimPrefix(s.url, "ws"), "/ws")+"/upload", slow{})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 1000
	req.Header = http.Header{"Authorization": {"Bearer " + s.ann}, "X-Mesh-Id": {s.mesh.ID}, "X-Member-Id": {s.ada.ID}, "X-File-Name": {"x"}}
	if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
		t.Fatalf("got %d", res.StatusCode)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		gone, err := s.store.GoneFiles(t.Context(), time.Now().Add(time.Hour), 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(gone) == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the file is still there")
		}
		time.Sleep(time.Millisecond)
	}
}

// slow is a body that fails after some bytes.
type slow struct{}

func (slow) Read(p []byte) (int, error) {
	if len(p) > 10 {
		return 10, fmt.Errorf("broken")
	}
	return 0, fmt.Errorf("broken")
}

func TestFilesAreOff(t *testing.T) {
	t.Parallel()
	s := &shelf{rig: newRig(t, nil)}
	s.people()
	if status, answer := s.upload(s.ann, s.ada, "x", "b"); status != http.StatusNotImplemented || answer["code"] != "not_available" {
		t.Errorf("got %d %v", status, answer)
	}
	if status, _, _ := s.fetch(s.ann, s.download("x")); status != http.StatusNotImplemented {
		t.Errorf("got %d", status)
	}
}

// A mesh has so many bytes, and the refusal says whose they are.
func TestUploadQuota(t *testing.T) {
	t.Parallel()
	s := &shelf{rig: startWith(t, filepath.Join(t.TempDir(), "broker.db"), func(c *config.Config) {
		c.Files.FileBytes, c.Files.MeshBytes = 40, 100
	}, withDisk(t, t.TempDir()))}
	s.newMesh()
	s.people()
	s.share(s.ann, s.ada, "x", strings.Repeat("x", 40))
	status, answer := s.upload(s.ann, s.ada, "x", strings.Repeat("x", 11))
	if text, _ := answer["error"].(string); status != http.StatusInsufficientStorage || !strings.HasPrefix(text, "a member may have 50 bytes") {
		t.Errorf("got %d %v", status, answer)
	}
	if status, answer := s.upload(s.ann, s.ada, "x", strings.Repeat("x", 41)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d %v", status, answer)
	}
	s.share(s.ben, s.bo, "x", strings.Repeat("x", 40))
}

// What one node takes in goes on at another one, and either gives it out to whoever
// has the address that a session was given.
func TestFilesCrossNodes(t *testing.T) {
	n := newNodes(t, 2, withFiles(t))
	a, b := n.both()
	ada, bo := a.joined(a.member("ada", store.RoleMember)), b.joined(b.member("bo", store.RoleMember))
	all := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	ticket := ada.ask(fmt.Sprintf(`{"type":"file_ticket","name":"x","size":%d}`, len(all)), "file_ticket_result")
	id, target := field(t, ticket, "fileId"), pathOf(t, field(t, ticket, "uploadUrl"))
	for _, step := range []struct {
		at       *rig
		from, to int
	}{{a, 0, 70_000}, {b, 70_000, 140_000}, {a, 140_000, len(all)}} {
		s := &shelf{rig: step.at}
		if status, h := s.append(target, http.Header{}, step.from, all[step.from:step.to]); status != http.StatusNoContent {
			t.Fatalf("%d to %d: got %d %v", step.from, step.to, status, h)
		}
	}
	target = pathOf(t, field(t, bo.ask(`{"type":"get_file","fileId":"`+id+`"}`, "file_url"), "url"))
	for _, r := range n.list {
		s := &shelf{rig: r}
		if status, got, _ := s.fetch("", target); status != http.StatusOK || got != string(all) {
			t.Errorf("got %d and %d bytes", status, len(got))
		}
		if status, _, _ := s.fetch("", strings.Replace(target, "ticket=", "ticket=x", 1)); status != http.StatusUnauthorized {
			t.Errorf("a forged ticket: got %d", status)
		}
	}
	eventually(t, "the file says that bo got it", func() bool { // which is written behind its bytes
		return strings.Contains(ada.ask(`{"type":"file_status","fileId":"`+id+`"}`, "file_status_result"), `"peerName":"bo"`)
	})
	bo.ask(`{"type":"delete_file","fileId":"`+id+`"}`, "ack") // refused: it is ada's
	if status, _, _ := (&shelf{rig: b}).fetch("", target); status != http.StatusOK {
		t.Errorf("another one's file was deleted: got %d", status)
	}
	ada.ask(`{"type":"delete_file","fileId":"`+id+`"}`, "ack")
	if status, _, _ := (&shelf{rig: b}).fetch("", target); status != http.StatusNotFound {
		t.Errorf("a deleted file: got %d", status)
	}
}

// pathOf returns path and query of an address.
func pathOf(tb testing.TB, address string) string {
	tb.Helper()
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	return u.RequestURI()
}

package main

import (
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/adopt"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store/pgtest"
)

// original is a small database of the original broker: one mesh, two members, a
// message from now, and a log of one entry that is hashed right or not.
const original = `
	CREATE SCHEMA mesh;
	CREATE TABLE mesh.mesh (id text, slug text, name text, owner_pubkey text, owner_secret_key text, root_key text);
	CREATE TABLE mesh.member (id text, mesh_id text, peer_pubkey text, display_name text, revoked_at timestamp);
	CREATE TABLE mesh.message_queue (id text, mesh_id text, sender_member_id text, target_spec text, nonce text, ciphertext text,
		created_at timestamp, delivered_at timestamp);
	CREATE TABLE mesh.audit_log (id integer, mesh_id text, event_type text, actor_member_id text, payload jsonb, prev_hash text,
		hash text, created_at timestamp);
	INSERT INTO mesh.mesh VALUES ('m1', 'team', E'Te\u001bam', NULL, NULL, 'KuPZwpvNpR6WCc0UanYGisnJ1EJ4JOHnL_zE4vrR1_s');
	INSERT INTO mesh.member VALUES ('ada', 'm1', repeat('a1', 32), 'Ada', NULL), ('bo', 'm1', repeat('b2', 32), 'Bo', NULL),
		('eve', 'm1', 'x', 'Eve', NULL);
	INSERT INTO mesh.message_queue VALUES ('msg', 'm1', 'ada', repeat('b2', 32), 'n', 'c', now() AT TIME ZONE 'UTC', NULL);`

const brokenLog = `INSERT INTO mesh.audit_log VALUES (7, 'm1', 'peer_left', NULL, '{}', 'genesis', 'wrong', '2026-04-20 12:00:00')`

func newOriginal(t *testing.T, queries ...string) string {
	t.Helper()
	url := pgtest.URL(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, q := range append([]string{original}, queries...) {
		if _, err := conn.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	return url
}

func TestMigrateImport(t *testing.T) {
	url := newOriginal(t)
	x := newTerminal(t)
	command := x.on("migrate", "import", "--from", url)

	dry := x.ok(append(command, "--dry-run")...)
	for _, want := range []string{"dry run: nothing was written", "2 new, 1 skipped", "1 new", "intact", "member skipped", "(eve)", "peer_state"} {
		if !strings.Contains(dry, want) {
			t.Errorf("a dry run does not say %q:\n%s", want, dry)
		}
	}
	if _, err := os.Stat(x.data); !os.IsNotExist(err) {
		t.Errorf("a dry run made the data directory: %v", err)
	}

	first := parse[adopt.Report](t, x.ok(append(command, "--json")...))
	if m := first.Meshes[0]; m.Slug != "team" || !m.New || m.Members.Added != 2 || m.Messages.Added != 1 || !m.Chain.Valid {
		t.Errorf("got %+v", m)
	}
	again := x.ok(command...)
	if !strings.Contains(again, "2 here, 1 skipped") || strings.Contains(again, "new") {
		t.Errorf("a second import says\n%s", again)
	}
	list := *parse[[]admin.Mesh](t, x.ok(x.on("mesh", "list", "--json")...))
	if len(list) != 1 || list[0].ID != "m1" || list[0].Members != 2 {
		t.Errorf("got meshes %+v", list)
	}
	dry = x.ok(append(command, "--dry-run", "--mesh", "m1")...)
	if !strings.Contains(dry, "2 here, 1 skipped") {
		t.Errorf("a dry run on a store says\n%s", dry)
	}
}

func TestMigrateImportBroken(t *testing.T) {
	url := newOriginal(t, brokenLog)
	x := newTerminal(t)
	command := x.on("migrate", "import", "--from", url)
	x.fails(exitFailed, "the audit chain of team does not hold", command...)
	if r := x.try(command...); !strings.Contains(r.out, "BROKEN at entry 7") || !strings.Contains(r.out, "2 here") {
		t.Errorf("got\n%s", r.out)
	}
	x.fails(exitFailed, "would take it", append(command, "--dry-run", "--json")...)
}

func TestMigrateImportRefuses(t *testing.T) {
	url := newOriginal(t)
	x := newTerminal(t)
	x.fails(exitUsage, "needs --from", x.on("migrate", "import")...)
	x.fails(exitFailed, "--from", x.on("migrate", "import", "--from", "postgres://127.0.0.1:1/nowhere?connect_timeout=2")...)
	x.fails(exitFailed, "it has team", x.on("migrate", "import", "--from", url, "--mesh", "other")...)

	x.newMesh("home", "1")
	key := filepath.Join(x.data, keyName)
	if err := os.WriteFile(key, []byte(strings.Repeat("0a", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	x.fails(exitFailed, "another encryption_key", x.on("migrate", "import", "--from", url)...)

	y := newTerminal(t)
	y.serve()
	y.fails(exitFailed, "another broker runs", y.on("migrate", "import", "--from", url)...)
}

func TestMigrateImportIntoPostgres(t *testing.T) {
	url := newOriginal(t)
	x := newTerminal(t)
	x.environ = append(x.environ, "DATABASE_URL="+url) // the same database
	command := x.on("migrate", "import", "--from", url)
	if dry := x.ok(append(command, "--dry-run")...); !strings.Contains(dry, "2 new, 1 skipped") {
		t.Errorf("got\n%s", dry)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var made bool
	if err := conn.QueryRow(t.Context(), `SELECT to_regnamespace('broker') IS NOT NULL`).Scan(&made); err != nil || made {
		t.Errorf("a dry run made the tables: %v, error %v", made, err)
	}
	x.ok(command...)
	for _, args := range [][]string{command, append(command, "--dry-run")} {
		if again := x.ok(args...); !strings.Contains(again, "2 here, 1 skipped") {
			t.Errorf("got\n%s", again)
		}
	}
	x.serve()
	y := newTerminal(t) // another machine's data directory
	y.environ = x.environ
	y.fails(exitFailed, "serves this store", y.on("migrate", "import", "--from", url)...)
}

// TestMigrateImportIsUsed moves a mesh, and then its members go on: one gets
// what waited for it, somebody joins with an invite of the original, the broker
// signs a new one with the owner's key, and a program reads a topic with the API
// key that it has.
func TestMigrateImportIsUsed(t *testing.T) {
	ada, adaSecret := identity.NewKeypair()
	bo, boSecret := identity.NewKeypair()
	owner, ownerSecret := identity.NewKeypair()
	root := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	expires := time.Now().Add(time.Hour)
	invite := identity.InviteV1{
		Version: 1, MeshID: "m1", MeshSlug: "team", BrokerURL: "wss://old.example/ws", ExpiresAt: expires.Unix(), MeshRootKey: root,
		Role: "member", OwnerPubkey: owner.String(),
	}
	if err := invite.Sign(ownerSecret); err != nil {
		t.Fatal(err)
	}
	token, err := invite.Token()
	if err != nil {
		t.Fatal(err)
	}
	nonce, ciphertext, err := identity.SealTo(adaSecret, bo, []byte("waited over there"))
	if err != nil {
		t.Fatal(err)
	}
	sql := strings.NewReplacer("$ada", ada.String(), "$bo", bo.String(), "$owner", owner.String(), "$secret", identity.SecretHex(ownerSecret),
		"$root", root, "$token", token, "$expires", expires.UTC().Format(time.DateTime), "$nonce", nonce, "$text", ciphertext)
	url := newOriginal(t, sql.Replace(`
		CREATE TABLE mesh.invite (id text, mesh_id text, token text, max_uses integer, used_count integer, expires_at timestamp,
			revoked_at timestamp);
		INSERT INTO mesh.invite VALUES ('inv', 'm1', '$token', 2, 1, '$expires', NULL);
		CREATE TABLE mesh.topic (id text, mesh_id text, name text, visibility text, created_at timestamp, archived_at timestamp);
		INSERT INTO mesh.topic VALUES ('t1', 'm1', 'plans', 'private', now() AT TIME ZONE 'UTC', NULL);
		CREATE TABLE mesh.topic_member (id text, topic_id text, member_id text, role text, joined_at timestamp);
		INSERT INTO mesh.topic_member VALUES ('s1', 't1', 'ada', 'lead', now() AT TIME ZONE 'UTC');
		CREATE TABLE mesh.topic_message (id text, topic_id text, sender_member_id text, nonce text, ciphertext text, created_at timestamp);
		INSERT INTO mesh.topic_message VALUES ('tm1', 't1', 'bo', 'n', 'c2FpZCBvdmVyIHRoZXJl', now() AT TIME ZONE 'UTC');
		CREATE TABLE mesh.api_key (id text, mesh_id text, secret_hash text, secret_prefix text, capabilities jsonb, topic_scopes jsonb,
			issued_by_member_id text, revoked_at timestamp, expires_at timestamp);
		INSERT INTO mesh.api_key VALUES ('k1', 'm1', encode(sha256(('cm_' || repeat('A', 43))::bytea), 'hex'), 'cm_AAAAAAAA', '["read"]',
			'["plans"]', 'ada', NULL, NULL);
		UPDATE mesh.mesh SET owner_pubkey = '$owner', owner_secret_key = '$secret', root_key = '$root';
		UPDATE mesh.member SET peer_pubkey = '$ada' WHERE id = 'ada';
		UPDATE mesh.member SET peer_pubkey = upper('$bo') WHERE id = 'bo';
		UPDATE mesh.message_queue SET target_spec = '$bo', nonce = '$nonce', ciphertext = '$text'`))

	x := newTerminal(t)
	if said := x.ok(x.on("migrate", "import", "--from", url)...); !strings.Contains(said, "topics 1 new; seats in topics 1 new; topic messages 1 new; API keys 1 new") {
		t.Errorf("the report says\n%s", said)
	}
	broker, here := x.serve()
	if said := getWithKey(t, here, "/v1/topics/plans/messages", "cm_"+strings.Repeat("A", 43)); !strings.Contains(said, "c2FpZCBvdmVyIHRoZXJl") {
		t.Errorf("the history of a topic is %s\n%s", said, broker.err)
	}
	file := filepath.Join(x.home, "bo.json")
	member := memberFile{URL: here, MeshID: "m1", MemberID: "bo", SecretKey: identity.SeedHex(boSecret), DisplayName: "Bo"}
	if err := member.save(file); err != nil {
		t.Fatal(err)
	}
	listener := x.start("peer", "listen", "--member", file)
	listener.out.wait(listener, "Ada: waited over there")
	x.ok("peer", "send", "--name", "cy", "--invite", token, "--url", here, "Bo", "joined with the old invite")
	listener.out.wait(listener, "cy: joined with the old invite")
	x.fails(exitFailed, "invite_exhausted", "peer", "send", "--name", "dee", "--invite", token, "--url", here, "Bo", "one too many")
	fresh := parse[admin.Invite](t, x.ok(x.on("invite", "create", "team", "--json")...))
	x.ok("peer", "send", "--name", "dee", "--invite", fresh.Token, "Bo", "joined with a new one")
	listener.out.wait(listener, "dee: joined with a new one")
	x.ok(x.on("audit", "verify", "team")...)
}

// getWithKey returns what a broker answers to a program that has an API key.
func getWithKey(t *testing.T, socket, path, key string) string {
	t.Helper()
	base := strings.TrimSuffix(strings.Replace(socket, "ws", "http", 1), "/ws")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

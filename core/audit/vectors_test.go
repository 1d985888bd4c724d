package audit

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// vectors is the audit member of testdata/vectors.json. The file was made with
// three independent implementations.
type vectors struct {
	Genesis string  `json:"genesis"`
	Chains  []chain `json:"chains"`
	Order   struct {
		Payloads         []string `json:"payloads"`
		CanonicalPayload string   `json:"canonical_payload"`
	} `json:"key_order"`
	LockKeys []struct {
		MeshID string `json:"mesh_id"`
		Key    string `json:"lock_key_decimal"`
	} `json:"lock_keys"`
}

type chain struct {
	Name   string `json:"name"`
	MeshID string `json:"mesh_id"`
	Rows   []row  `json:"rows"`
	Expect struct {
		Valid    bool  `json:"valid"`
		Entries  int64 `json:"entries"`
		BrokenAt int64 `json:"brokenAt"`
	} `json:"expect_verify"`
}

type row struct {
	ID               int64     `json:"id"`
	EventType        string    `json:"event_type"`
	ActorMemberID    *string   `json:"actor_member_id"`
	ActorDisplayName *string   `json:"actor_display_name"`
	PayloadJSON      string    `json:"payload_json"`
	CanonicalPayload string    `json:"canonical_payload"`
	CreatedAt        time.Time `json:"created_at"`
	PrevHash         string    `json:"prev_hash"`
	HashInput        string    `json:"hash_input"`
	Hash             string    `json:"hash"`
}

func loadVectors(tb testing.TB) vectors {
	tb.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		tb.Fatal(err)
	}
	var all struct {
		Audit vectors `json:"audit"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		tb.Fatal(err)
	}
	if len(all.Audit.Chains) == 0 || len(all.Audit.LockKeys) == 0 || len(all.Audit.Order.Payloads) == 0 {
		tb.Fatal("vectors.json lacks a member that this package tests")
	}
	return all.Audit
}

// entry makes the row an Entry, its payload canonicalized.
func (r row) entry(tb testing.TB, meshID string) *Entry {
	tb.Helper()
	payload, err := Canonicalize([]byte(r.PayloadJSON))
	if err != nil {
		tb.Fatal(err)
	}
	e := &Entry{
		ID: r.ID, MeshID: meshID, EventType: r.EventType, Payload: payload,
		CreatedAt: r.CreatedAt, PrevHash: r.PrevHash, Hash: r.Hash,
	}
	if r.ActorMemberID != nil {
		e.ActorMemberID = *r.ActorMemberID
	}
	if r.ActorDisplayName != nil {
		e.ActorName = *r.ActorDisplayName
	}
	return e
}

func TestLockKeyVectors(t *testing.T) {
	for _, v := range loadVectors(t).LockKeys {
		if got := strconv.FormatInt(LockKey(v.MeshID), 10); got != v.Key {
			t.Errorf("mesh %q: got %s, want %s", v.MeshID, got, v.Key)
		}
	}
}

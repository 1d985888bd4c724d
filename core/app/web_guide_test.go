package app_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/sdk"
)

// TestGuide follows the chapter of docs/http.md about a client's first run, line
// by line, and ends with a message.
func TestGuide(t *testing.T) {
	r := newRig(t, guessing)
	g := &guide{r: r, known: map[string]string{"BROKER": ""}}
	ada, bo := newClaimant(t), newClaimant(t)
	g.known["pubkey"], g.known["guest_pubkey"] = ada.pubkey(), bo.pubkey()
	g.known["one_time_code"] = identity.NewCode()
	r.account("ada")
	if err := r.store.CreateCode(t.Context(), identity.HashCode(g.known["one_time_code"]), "ada", time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	lines := guideLines(t)
	if len(lines) != 10 {
		t.Errorf("the chapter has %d lines to type, want 10", len(lines))
	}
	for _, line := range lines {
		g.run(t, line)
	}

	// The creator claims its own invite for the root key.
	before := r.invitesUsed(t, g.known["code"])
	own := r.wantOK(http.MethodPost, claimPath(g.known["code"]), "", ada.body(g.known["code"], nil))
	sealed, err := base64.RawURLEncoding.DecodeString(own["sealed_root_key"].(string))
	if err != nil {
		t.Fatal(err)
	}
	root, err := identity.OpenAnonymous([32]byte(ada.recipient.Bytes()), sealed)
	if err != nil {
		t.Fatal(err)
	}
	var payload identity.InviteV1
	if err := json.Unmarshal([]byte(g.known["payload"]), &payload); err != nil {
		t.Fatal(err)
	}
	if got := base64.RawURLEncoding.EncodeToString(root); got != payload.MeshRootKey || own["already_member"] != true {
		t.Errorf("got %v with the root key %s, want the payload's", own, got)
	}
	if after := r.invitesUsed(t, g.known["code"]); after != before {
		t.Errorf("its own claim has spent a use: %d, want %d", after, before)
	}

	id := payload.MeshID
	here := r.dial(session(dial.Identity{MeshID: id, MemberID: g.known["member_id"], Key: ada.key}), dial.Options{})
	guest := r.dial(session(dial.Identity{MeshID: id, MemberID: g.known["memberId"], Key: bo.key}), dial.Options{})
	if ack := r.send(guest, here.Key().String(), sdk.PriorityNow, "hello"); !ack.Queued {
		t.Errorf("got %+v", ack)
	}
	r.wantText(here, "hello")
}

// invitesUsed returns how many have used an invite.
func (r *rig) invitesUsed(t *testing.T, code string) int {
	t.Helper()
	inv, err := r.store.InviteByCode(context.Background(), code)
	if err != nil {
		t.Fatal(err)
	}
	return inv.UsedCount
}

// guideLines returns the lines of the chapter that are to be typed.
func guideLines(t *testing.T) (lines []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, found := strings.Cut(string(page), "\n## From nothing to a message\n")
	chapter, _, ends := strings.Cut(chapter, "\n## ")
	if !found || !ends {
		t.Fatal("docs/http.md has no such chapter")
	}
	for line := range strings.SplitSeq(chapter, "\n") {
		if strings.HasPrefix(line, "curl ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// guide is somebody who types what the chapter says.
type guide struct {
	r     *rig
	known map[string]string // what stands behind a $
}

// run makes the call of a line, and remembers the texts of the answer by their
// names.
func (g *guide) run(t *testing.T, line string) {
	t.Helper()
	method, path, body, h := http.MethodGet, "", "", http.Header{"Accept": {"*/*"}}
	words := g.words(t, line)
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-sS":
		case "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			h.Set(name, value)
		case "-d":
			i++
			method, body = http.MethodPost, words[i]
		default:
			path = words[i]
		}
	}
	status, answer, _ := g.r.askWith(method, path, h, body)
	if status != http.StatusOK {
		t.Fatalf("%s\n%s %s: got %d %v", line, method, path, status, answer)
	}
	for name, value := range answer {
		if text, ok := value.(string); ok {
			g.known[name] = text
		}
	}
	if token, ok := answer["token"].(string); ok {
		payload, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			t.Fatal(err)
		}
		g.known["payload"] = string(payload)
	}
}

// words splits a line as a shell does, as far as the chapter needs it.
func (g *guide) words(t *testing.T, line string) (words []string) {
	t.Helper()
	word, quote := "", byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote == 0 && c == ' ':
			words, word = append(words, word), ""
		case quote != '\'' && c == '$':
			name := line[i+1:]
			if end := strings.IndexFunc(name, func(r rune) bool { return r != '_' && (r < 'A' || r > 'z') }); end >= 0 {
				name = name[:end]
			}
			value, known := g.known[name]
			if !known {
				t.Fatalf("%s: nothing before says what $%s is", line, name)
			}
			word += value
			i += len(name)
		default:
			word += string(c)
		}
	}
	return append(words, word)
}

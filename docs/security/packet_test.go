// Package security_test holds the pages beside it to the code.
package security_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
)

// pages are the documents that are held to the code.
var pages = []string{"README.md", "threat-model.md", "crypto-review.md"}

// read returns a page with the escapes of its tables undone.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), `\|`, "|")
}

// row reports whether a page has a table row with these cells in front.
func row(page string, cells ...string) bool {
	return strings.Contains(page, "\n| "+strings.Join(cells, " | ")+" |")
}

// TestCanonicalStrings has the code write each canonical string with the names
// of its fields, and wants the packet to show the same bytes.
func TestCanonicalStrings(t *testing.T) {
	const mesh, member, session, ms = "<mesh id>", "<member key>", "<session key>", "<ms>"
	noBody := sha256.Sum256(nil)
	entry := audit.Entry{PrevHash: "<prev hash>", MeshID: mesh, EventType: "<event>", ActorMemberID: "<actor>", Payload: []byte("<payload>")}
	for name, text := range map[string]string{
		"hello":         string(identity.HelloText(mesh, "<member id>", member, ms)),
		"attestation":   string(identity.AttestationText(member, session, ms)),
		"session hello": string(identity.SessionHelloText(mesh, member, session, ms)),
		"session proof": string(identity.SessionProofText(mesh, member, session, ms)),
		"HTTP request": strings.ReplaceAll(string(identity.HTTPText("<method>", "<target>", mesh, member, ms, noBody)),
			hex.EncodeToString(noBody[:]), "<body hash>"),
		"claim":        string(identity.ClaimText("<code>", "<joining key>", "<recipient key>", ms)),
		"sealed value": string(identity.AtRestText("<purpose>", "<row id>")),
		"link":         string(identity.LinkText(mesh, member, "<account id>", ms)),
		"invite v1": strings.ReplaceAll(identity.InviteV1{
			Version: 1, MeshID: mesh, MeshSlug: "<slug>", BrokerURL: "<broker url>", ExpiresAt: 7777, MeshRootKey: "<root key>",
			Role: "<role>", OwnerPubkey: "<owner key>",
		}.Canonical(), "7777", "<s>"),
		"invite v2": strings.ReplaceAll(identity.InviteV2{
			MeshID: mesh, InviteID: "<invite id>", ExpiresAt: 7777, Role: "<role>", OwnerPubkey: "<owner key>",
		}.Canonical(), "7777", "<s>"),
	} {
		if !row(read(t, "crypto-review.md"), name, "`"+text+"`") {
			t.Errorf("crypto-review.md has no row %s with %s", name, text)
		}
	}

	// The text of an audit entry is not exported: what the packet says of it has to hash to the same.
	said := regexp.MustCompile("\n\\| audit entry \\| `(.*)` \\|").FindStringSubmatch(read(t, "crypto-review.md"))
	if said == nil {
		t.Fatal("crypto-review.md has no row for audit entries")
	}
	sum := sha256.Sum256([]byte(strings.ReplaceAll(said[1], "<time>", time.Time{}.Format("2006-01-02T15:04:05.000Z"))))
	if entry.ComputeHash() != hex.EncodeToString(sum[:]) {
		t.Errorf("an audit entry is not hashed as %s", said[1])
	}
}

// TestLabels wants every label of the code in the packet, and every label of the
// packet in the code.
func TestLabels(t *testing.T) {
	page, known := read(t, "crypto-review.md"), map[string]bool{}
	for _, folder := range []string{"core/identity", "core/token", "core/audit"} {
		for _, label := range labels(t, folder) {
			known[label] = true
			if !strings.Contains(page, label) {
				t.Errorf("crypto-review.md does not have %q of %s", label, folder)
			}
		}
	}
	if len(known) < 10 {
		t.Errorf("only %d labels were found in the code: %v", len(known), known)
	}
	for _, label := range regexp.MustCompile("claudemesh-[a-z0-9-]+|claudemesh broker: [a-z0-9 ]+").FindAllString(page, -1) {
		if !known[label] {
			t.Errorf("crypto-review.md names the label %q, which the code does not have", label)
		}
	}
}

// TestCitations wants every function, file and test that a page names to exist.
func TestCitations(t *testing.T) {
	inCode := regexp.MustCompile("`([a-z][a-z0-9/_]*)(?:/([a-z0-9_]+\\.go))?(?::([A-Za-z0-9.]+))?`")
	tree, found := tree{}, 0
	for _, name := range pages {
		for _, m := range inCode.FindAllStringSubmatch(read(t, name), -1) {
			folder, file, symbol := m[1], m[2], m[3]
			switch isTest := strings.HasPrefix(symbol, "Test") || strings.HasPrefix(symbol, "Fuzz"); {
			case file == "" && !isTest:
				continue // a word, or a folder
			case !tree.has(t, folder, file, symbol):
				t.Errorf("%s: %s is gone", name, m[0])
			}
			found++
		}
		for _, bare := range regexp.MustCompile("`(Test|Fuzz)[A-Z]\\w*`").FindAllString(read(t, name), -1) {
			t.Errorf("%s: %s does not say which package it is in", name, bare)
		}
	}
	if found < 150 {
		t.Errorf("only %d citations were found", found)
	}
}

// TestLimits compares the tables of limits and settings with the code.
func TestLimits(t *testing.T) {
	page, tree := read(t, "crypto-review.md"), tree{}
	constants := regexp.MustCompile("\n\\| `(\\w+)` \\| `([a-z/]+)/(\\w+\\.go)` \\| `(.+)` \\|").FindAllStringSubmatch(page, -1)
	for _, m := range constants {
		if got := tree.constant(t, m[2], m[3], m[1]); got != m[4] {
			t.Errorf("%s of %s/%s is %q, crypto-review.md says %s", m[1], m[2], m[3], got, m[4])
		}
	}
	reference, err := os.ReadFile("../../configs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	settings := regexp.MustCompile("\n\\| `([a-z]+\\.[a-z_]+)` \\| `(.+)` \\|").FindAllStringSubmatch(page, -1)
	for _, m := range settings {
		if !regexp.MustCompile("\n\\| `" + m[1] + "` \\| [^|]+ \\| `" + regexp.QuoteMeta(m[2]) + "` \\|").Match(reference) {
			t.Errorf("the default of %s is not %s, as crypto-review.md says", m[1], m[2])
		}
	}
	if len(constants) < 20 || len(settings) < 8 {
		t.Errorf("only %d constants and %d settings were found", len(constants), len(settings))
	}
}

// TestGuessing computes what the packet says about guessing.
func TestGuessing(t *testing.T) {
	page := read(t, "crypto-review.md")
	const perCharacter = 5
	bits := func(code string) int { return perCharacter * len(strings.ReplaceAll(code, "-", "")) }
	codes := map[string]int{
		"invite code": bits(identity.NewInviteCode()), "user code": bits(identity.NewUserCode()),
		"one-time code": bits(identity.NewCode()), "device code": bits(identity.NewDeviceCode()),
		"sign-in id": bits(strings.TrimPrefix(identity.NewSessionID(), "clm_sess_")),
	}
	for name, n := range codes {
		if !row(page, name, fmt.Sprint(n)) {
			t.Errorf("crypto-review.md does not say that a %s has %d bits", name, n)
		}
	}
	rate := config.Default().HTTP.Guesses.Rate
	day := float64(rate.Count) * float64(24*time.Hour/rate.Per)
	for _, c := range []struct {
		code string
		live int
		text string
	}{{"invite code", 1, "1"}, {"invite code", 1000, "1,000"}, {"user code", 4000, "4,000"}, {"one-time code", 10, "10"}} {
		hits := func(networks float64) string {
			return fmt.Sprintf("%.1e", networks*day*float64(c.live)/float64(uint64(1)<<codes[c.code]))
		}
		if want := []string{c.code, c.text, hits(1), hits(10_000), hits(65_536)}; !row(page, want...) {
			t.Errorf("crypto-review.md has no row %q", want)
		}
	}
}

// TestModules compares the libraries with go.mod.
func TestModules(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("\n\\| `([a-z.]+/[^`]+)` \\| (v[0-9.]+) \\|").FindAllStringSubmatch(read(t, "crypto-review.md"), -1)
	for _, m := range rows {
		if !strings.Contains(string(mod), "\t"+m[1]+" "+m[2]+"\n") {
			t.Errorf("go.mod does not have %s %s", m[1], m[2])
		}
	}
	if len(rows) < 5 {
		t.Errorf("only %d modules were found", len(rows))
	}
}

// TestNumbering wants claims, threats and findings numbered without a gap, each
// claim and threat with a test or the word untested, and links to findings that
// are there.
func TestNumbering(t *testing.T) {
	for _, list := range []struct {
		page, letter string
		proved       bool
	}{{"crypto-review.md", "C", true}, {"threat-model.md", "T", true}, {"README.md", "R", false}} {
		rows := regexp.MustCompile("\n\\| "+list.letter+"(\\d+) \\|.*").FindAllStringSubmatch(read(t, list.page), -1)
		for i, m := range rows {
			switch {
			case list.letter != "R" && m[1] != fmt.Sprint(i+1):
				t.Errorf("%s: %s%s comes where %s%d should", list.page, list.letter, m[1], list.letter, i+1)
			case list.proved && !strings.Contains(m[0], ":Test") && !strings.Contains(m[0], ":Fuzz") && !strings.Contains(m[0], "untested"):
				t.Errorf("%s: %s%s names no test, and does not say that it has none", list.page, list.letter, m[1])
			}
		}
		if list.letter != "R" {
			continue
		}
		for _, page := range pages {
			for _, m := range regexp.MustCompile(`\[R(\d+)\]`).FindAllStringSubmatch(read(t, page), -1) {
				if !slices.ContainsFunc(rows, func(r []string) bool { return r[1] == m[1] }) {
					t.Errorf("%s speaks of R%s, which is no open finding", page, m[1])
				}
			}
		}
	}
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
)

// memberFile is what a terminal peer keeps of its membership. The file is for
// its owner only: whoever has it is the member.
type memberFile struct {
	URL         string `json:"url"` // WebSocket URL of the broker
	MeshID      string `json:"meshId"`
	MemberID    string `json:"memberId"`
	SecretKey   string `json:"secretKey"` // the ed25519 seed, 64 hex digits
	DisplayName string `json:"displayName"`
	Link        string `json:"link,omitempty"` // short link that it joined by
}

// readMember reads a member file.
func readMember(path string) (*memberFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := new(memberFile)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s is no member file: %w", path, err)
	}
	for name, value := range map[string]string{"url": m.URL, "meshId": m.MeshID, "memberId": m.MemberID, "secretKey": m.SecretKey} {
		if value == "" {
			return nil, fmt.Errorf("%s is no member file: it has no %s", path, name)
		}
	}
	return m, nil
}

// save writes a new file. It never replaces one: the key in it would be lost.
func (m *memberFile) save(path string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeNew(path, append(text, '\n')); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already, and holds another member's key: choose another file", path)
		}
		return err
	}
	return nil
}

// identity is who connects with the file.
func (m *memberFile) identity() (dial.Identity, error) {
	key, err := identity.ParseSecret(m.SecretKey)
	if err != nil {
		return dial.Identity{}, fmt.Errorf("secretKey in the member file: %w", err)
	}
	return dial.Identity{
		MeshID: m.MeshID, MemberID: m.MemberID, Key: key, DisplayName: m.DisplayName,
		Channel: "broker-peer", PeerType: "human",
	}, nil
}

// membersDir is where memberships that came of an invite are kept, empty when
// there is no such place.
func (p *program) membersDir() string {
	if dir := p.variable("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "claudemesh-broker", "members")
	}
	if home := p.variable("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".config", "claudemesh-broker", "members")
	}
	return ""
}

// variable returns a variable of the environment.
func (p *program) variable(name string) string {
	value, _ := p.lookup(name)
	return value
}

// lookup returns a variable of the environment, and whether it is set.
func (p *program) lookup(name string) (value string, ok bool) {
	for _, line := range p.environ {
		if v, found := strings.CutPrefix(line, name+"="); found {
			value, ok = v, true // the last one wins, as for a child process
		}
	}
	return value, ok
}

// memberPath is the file of a name in a mesh. Two names never share one: what
// could not stand in a file's name is written in hex.
func memberPath(dir, meshID, name string) string {
	return filepath.Join(dir, printableID(meshID)+"."+memberName(name)+".json")
}

func memberName(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// printableID keeps a mesh id, which an invite brings, from naming a path.
func printableID(id string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, id)
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
)

// peerTime bounds one request of a terminal peer, the connection included.
const peerTime = 15 * time.Second

func (p *program) peerCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "peer",
		Short: "Be a peer in this terminal: listen, send, see who is here",
		Long: `A peer in a terminal. It joins with --invite, under a --name, and keeps the membership
for the next time; or it is the member of a file (--member).`,
		Example: "  broker peer listen --name bo --invite TOKEN\n  broker peer listen --name bo --invite https://mesh.example.org/i/ABCDEFGH2345",
	}, p.peerListenCommand(), p.peerSendCommand(), p.peerPeersCommand())
}

// membership is how a terminal peer says who it is.
type membership struct {
	file, invite, url, name string
}

func (m *membership) addTo(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&m.invite, "invite", "", "join with this invite: a token, a link, a short link, or, with --url, a short code")
	f.StringVar(&m.name, "name", "", "display name to join under (default: $USER)")
	f.StringVar(&m.file, "member", "", "member file to use, and to write after joining (default: one for each mesh and name)")
	f.StringVar(&m.url, "url", "", "WebSocket URL of the broker, instead of the invite's or the file's")
}

// member returns who connects: the member of the file, or the one that the
// invite makes.
func (p *program) member(ctx context.Context, m *membership) (*memberFile, error) {
	if m.file == "" && m.invite == "" {
		return nil, usageError{"say who you are: --invite INVITE joins a mesh, --member FILE uses a membership"}
	}
	if m.file != "" {
		file, err := p.kept(m.file, m)
		if err == nil || m.invite == "" || !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	name := cmp.Or(m.name, p.variable("USER"), "peer")
	link, err := shortLink(m.invite, m.url)
	if err != nil {
		return nil, err
	}
	token := m.invite
	if link != "" {
		if path := joinedBy(p.membersDir(), link, name); m.file == "" && path != "" {
			return p.kept(path, m)
		}
		if token, err = openLink(ctx, link); err != nil {
			return nil, err
		}
	}
	return p.memberOf(ctx, m, token, link, name)
}

// kept reads a membership.
func (p *program) kept(path string, m *membership) (*memberFile, error) {
	file, err := readMember(path)
	if err == nil {
		file.URL = cmp.Or(m.url, file.URL)
	}
	return file, err
}

// memberOf returns the member that a name is in the mesh of an invite's token,
// and makes it when there is none. link is the short link that led to the token.
func (p *program) memberOf(ctx context.Context, m *membership, token, link, name string) (*memberFile, error) {
	token = strings.TrimSpace(token)
	if rest, ok := strings.CutPrefix(token, "http://"); ok { // a page of a broker without TLS
		token = "https://" + rest
	}
	token, err := identity.ExtractToken(token)
	if err != nil {
		return nil, errInvite
	}
	payload, err := identity.ParseToken(token)
	if err != nil {
		return nil, errInvite
	}
	path := m.file
	if dir := p.membersDir(); path == "" && dir != "" {
		path = memberPath(dir, payload.MeshID, name)
		file, err := p.kept(path, m)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	if path != "" { // before there is a key that could not be kept
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
	}
	file, err := join(ctx, token, m.url, name)
	if err != nil {
		return nil, err
	}
	file.Link = link
	return file, p.keep(file, path)
}

// keep writes a new membership to its place, where there is one.
func (p *program) keep(file *memberFile, path string) error {
	name := printable(file.DisplayName)
	if path == "" {
		fmt.Fprintf(p.err, "joined as %s; there is no place to keep the membership, --member FILE names one\n", name)
		return nil
	}
	if err := file.save(path); err != nil {
		return err
	}
	fmt.Fprintf(p.err, "joined as %s, membership kept in %s\n", name, path)
	return nil
}

// visit connects for one request, runs f, and leaves.
//
// It comes with a session key of its own and confirms nothing: messages that
// wait for the member stay for the one who listens.
func (p *program) visit(ctx context.Context, m *membership, f func(context.Context, *dial.Peer) error) error {
	ctx, cancel := context.WithTimeout(ctx, peerTime)
	defer cancel()
	file, err := p.member(ctx, m)
	if err != nil {
		return err
	}
	id, err := file.identity()
	if err != nil {
		return err
	}
	_, id.SessionKey = identity.NewKeypair()
	peer, err := dial.Dial(ctx, file.URL, id, dial.Options{OnPush: ignore})
	if err != nil {
		return err
	}
	// A goodbye in any case: without one the session counts as here for a while.
	return errors.Join(f(ctx, peer), peer.Close())
}

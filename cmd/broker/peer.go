package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
		Example: "  broker peer listen --name bo --invite TOKEN",
	}, p.peerListenCommand(), p.peerSendCommand(), p.peerPeersCommand())
}

// membership is how a terminal peer says who it is.
type membership struct {
	file, invite, url, name string
}

func (m *membership) addTo(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&m.invite, "invite", "", "join with this invite: a token or a link")
	f.StringVar(&m.name, "name", "", "display name to join under (default: $USER)")
	f.StringVar(&m.file, "member", "", "member file to use, and to write after joining (default: one for each mesh and name)")
	f.StringVar(&m.url, "url", "", "WebSocket URL of the broker, instead of the invite's or the file's")
}

// member returns who connects: the member of the file, or the one that the
// invite makes.
func (p *program) member(ctx context.Context, m *membership) (*memberFile, error) {
	if m.file == "" && m.invite == "" {
		return nil, usageError{"say who you are: --invite TOKEN joins a mesh, --member FILE uses a membership"}
	}
	name := cmp.Or(m.name, p.variable("USER"), "peer")
	path := m.file
	if path == "" {
		payload, err := identity.ParseToken(m.invite)
		if err != nil {
			return nil, usageError{"--invite takes a token or a link with one: " + err.Error()}
		}
		if dir := p.membersDir(); dir != "" {
			path = memberPath(dir, payload.MeshID, name)
		}
	}
	file, err := readMember(path)
	switch {
	case err == nil:
		file.URL = cmp.Or(m.url, file.URL)
		return file, nil
	case m.invite == "" || path != "" && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return p.enrol(ctx, m, name, path)
}

// enrol joins with the invite and keeps the membership at path, where one is
// given.
func (p *program) enrol(ctx context.Context, m *membership, name, path string) (*memberFile, error) {
	if path != "" { // before there is a key that could not be kept
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
	}
	file, err := join(ctx, m.invite, m.url, name)
	if err != nil {
		return nil, err
	}
	if path == "" {
		fmt.Fprintf(p.err, "joined as %s; there is no place to keep the membership, --member FILE names one\n", printable(name))
		return file, nil
	}
	if err := file.save(path); err != nil {
		return nil, err
	}
	fmt.Fprintf(p.err, "joined as %s, membership kept in %s\n", printable(name), path)
	return file, nil
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

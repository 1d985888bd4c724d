package feature

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/relay"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// fileWithin is how long a session has to answer. Clients wait for 15 s, and hear
// of it before that.
const fileWithin = 14 * time.Second

// Kinds of questions about files.
const (
	askFile = "file"
	askDir  = "dir"
)

// PeerFiles lets sessions read files on the disks of others that allow it. What
// may be read, the other client decides.
func PeerFiles(r *Registry, dir *presence.Directory, who Roster, via *relay.Relay) {
	f := &peerFiles{dir: dir, roster: who, relay: via}
	OnLater[wire.PeerFileRequest, wire.PeerFileResult](r, f.file).RefuseWith(refusedFile)
	OnLater[wire.PeerDirRequest, wire.PeerDirResult](r, f.list).RefuseWith(refusedDir)
	On(r, f.fileAnswer).RefuseWith(f.refusedAnswer)
	On(r, f.dirAnswer).RefuseWith(f.refusedAnswer)
	r.OnGone(func(s *presence.Session, c presence.Conn) { via.Left(s.ID, c) })
}

type peerFiles struct {
	dir    *presence.Directory
	roster Roster
	relay  *relay.Relay
}

func refusedFile(c *Call, why sdk.Reason, text string) wire.Frame {
	refused := wire.PeerFileResult{Error: worded(why, text)}
	if m, ok := c.Request.(*wire.PeerFileRequest); ok && m != nil {
		refused.FilePath = m.FilePath
	}
	return refused
}

func refusedDir(c *Call, why sdk.Reason, text string) wire.Frame {
	refused := wire.PeerDirResult{Error: worded(why, text)}
	if m, ok := c.Request.(*wire.PeerDirRequest); ok && m != nil {
		refused.DirPath = m.DirPath
	}
	return refused
}

// refusedAnswer refuses an answer.
func (f *peerFiles) refusedAnswer(c *Call, why sdk.Reason, text string) wire.Frame {
	spoil(f.relay, c, why, questionID(c))
	return refusedPresence(c, why, text)
}

// file asks for a file.
func (f *peerFiles) file(ctx context.Context, c *Call, m *wire.PeerFileRequest) error {
	to, err := f.readable(ctx, c, m.TargetPubkey, "filePath", m.FilePath)
	if err != nil {
		return err
	}
	by, path := c.Session.Routing(), m.FilePath
	return f.pass(c, to, question{
		to: to.ID, kind: askFile, hint: by.String() + path, within: fileWithin,
		frame: func(string) wire.Frame { return wire.PeerFileAsk{RequesterPubkey: by, FilePath: path} },
		failed: func(why sdk.Reason, text string) wire.Frame {
			return wire.PeerFileResult{FilePath: path, Error: worded(why, text)}
		},
	})
}

// list asks for what a directory holds.
func (f *peerFiles) list(ctx context.Context, c *Call, m *wire.PeerDirRequest) error {
	to, err := f.readable(ctx, c, m.TargetPubkey, "dirPath", m.DirPath)
	if err != nil {
		return err
	}
	by, path, pattern := c.Session.Routing(), m.DirPath, m.Pattern
	return f.pass(c, to, question{
		to: to.ID, kind: askDir, hint: by.String() + path, within: fileWithin,
		frame: func(string) wire.Frame {
			return wire.PeerDirAsk{RequesterPubkey: by, DirPath: path, Pattern: pattern}
		},
		failed: func(why sdk.Reason, text string) wire.Frame {
			return wire.PeerDirResult{DirPath: path, Error: worded(why, text)}
		},
	})
}

// pass passes a question on, and notes whom it is for: the log has no paths.
func (f *peerFiles) pass(c *Call, to presence.View, q question) error {
	if err := pass(f.relay, c, q); err != nil {
		return err
	}
	c.Env.Records = append(c.Env.Records, sdk.Record{
		Event:   "peer_" + q.kind + "_asked",
		Payload: audit.Object(audit.String("target", to.Routing().String())),
	})
	return nil
}

// readable returns the session that a key means, if its member lets the asker read
// its files. A member may always read its own.
func (f *peerFiles) readable(ctx context.Context, c *Call, key sdk.Key, field, path string) (presence.View, error) {
	if path == "" {
		return presence.View{}, core.Refuse(sdk.ReasonInvalid, field+": want a path")
	}
	absent := core.Refuse(ReasonPeerNotFound, "target peer not connected")
	to, ok := sessionBehind(f.dir, c, key)
	if !ok {
		return to, absent
	}
	by := c.Env.Sender
	if to.MemberID == by.MemberID {
		return to, nil
	}
	owner, err := f.roster.MemberByID(ctx, to.MemberID)
	switch {
	case err != nil:
		return to, core.Unavailable(err)
	case owner.Grants.Allows(by.Member, by.Session, store.CapFileRead):
		return to, nil
	case !to.Visible:
		return to, absent
	default:
		return to, core.Refuse(sdk.ReasonForbidden, "this peer has not granted you file-read: ask it to")
	}
}

func (f *peerFiles) fileAnswer(_ context.Context, c *Call, m *wire.PeerFileResponse) (Silent, error) {
	return Silent{}, answered(f.relay, c, askFile, questionID(c), m.RequesterPubkey.String()+m.FilePath,
		wire.PeerFileResult{FilePath: m.FilePath, Content: m.Content, Error: m.Error})
}

func (f *peerFiles) dirAnswer(_ context.Context, c *Call, m *wire.PeerDirResponse) (Silent, error) {
	return Silent{}, answered(f.relay, c, askDir, questionID(c), m.RequesterPubkey.String()+m.DirPath,
		wire.PeerDirResult{DirPath: m.DirPath, Entries: m.Entries, Error: m.Error})
}

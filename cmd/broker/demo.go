package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/backend"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
	"github.com/claudemesh/broker/stages"
)

// demoTime bounds a demo that hangs; one takes a fraction of a second.
const demoTime = 20 * time.Second

func (p *program) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Watch two peers exchange sealed messages through the chain",
		Long: `Starts a whole broker in a temporary directory, with the default configuration, and
two peers who talk through it. Prints, for each envelope, what every stage decided and how
long it took, and what the recipient read.`,
		Example: "  broker demo",
		Args:    takes(),
		RunE:    func(c *cobra.Command, _ []string) error { return p.demo(c.Context()) },
	}
}

// demo starts a broker in a directory of its own and has two peers talk.
func (p *program) demo(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	dir, err := os.MkdirTemp("", "broker-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	loaded, err := config.Load(config.Options{
		File: []byte{}, Overrides: map[string]string{"listen": "127.0.0.1:0", "data_dir": dir},
		Builtins: stages.Builtins(stages.All(stages.Deps{})),
	})
	if err != nil {
		return err
	}
	st, err := openStore(ctx, loaded.Config, true, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return p.demoOn(ctx, loaded.Config, st)
}

// demoOn runs the broker, the story in it, and stops the broker.
func (p *program) demoOn(ctx context.Context, c config.Config, st backend.Database) error {
	walks := newWalks()
	ready := make(chan string, 1)
	broker, err := newApp(ctx, c, st, slog.New(slog.DiscardHandler), app.Options{
		Probes: walks.watch, Ready: func(addr string) { ready <- addr },
	})
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- broker.Run(serving) }()
	select {
	case err := <-ended:
		return err
	case addr := <-ready:
		d := &demonstration{program: p, walks: walks, url: localURL(addr)}
		err = d.play(ctx, c, st)
	}
	stop()
	return errors.Join(err, <-ended)
}

// demonstration is the story that broker demo tells.
type demonstration struct {
	*program
	walks *walks
	url   string
}

func (d *demonstration) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// play has ada and bo meet, talk, and leave.
func (d *demonstration) play(ctx context.Context, c config.Config, st backend.Database) error {
	keys, err := loadKeys(ctx, c, st, true)
	if err != nil {
		return err
	}
	ops := admin.New(st, keys, hooks(c, st, func() string { return d.url }))
	mesh, err := ops.CreateMesh(ctx, "demo", admin.MeshOptions{Members: 2})
	if err != nil {
		return err
	}
	d.say("A broker on %s, two members of mesh %s, and the default pipeline.\n", d.url, mesh.Slug)
	ada, err := d.connect(ctx, mesh, 0, "ada")
	if err != nil {
		return err
	}
	defer ada.Abort()
	bo, err := d.connect(ctx, mesh, 1, "bo", wire.Group{Name: "crew"})
	if err != nil {
		return err
	}
	defer bo.Abort()
	if err := d.talk(ctx, ada, bo); err != nil {
		return err
	}
	if err := errors.Join(ada.Close(), bo.Close()); err != nil {
		return err
	}
	v, err := ops.VerifyAudit(ctx, mesh.ID)
	if err != nil {
		return err
	}
	d.say("The audit log has %d entries, chain intact: %v.", v.Entries, v.Valid)
	return nil
}

// connect brings a member online.
func (d *demonstration) connect(ctx context.Context, mesh *admin.NewMesh, i int, name string, groups ...wire.Group) (*dial.Peer, error) {
	secret, err := identity.ParseSecret(mesh.Members[i].SecretKey)
	if err != nil {
		return nil, err
	}
	id := dial.Identity{MeshID: mesh.ID, MemberID: mesh.Members[i].ID, Key: secret, DisplayName: name, Groups: groups}
	peer, err := dial.Dial(ctx, d.url, id, dial.Options{ConfirmPushes: true})
	if err != nil {
		return nil, err
	}
	d.say("%s connects (key %s)", name, short(peer.Key()))
	return peer, d.walks.print(ctx, d.out, sdk.KindHello)
}

// talk sends one message to bo alone and one to his group.
func (d *demonstration) talk(ctx context.Context, ada, bo *dial.Peer) error {
	const secret = "the build is green, can you review it?"
	nonce, sealed, err := ada.SealDirect(bo.Key(), secret)
	if err != nil {
		return err
	}
	d.say("ada seals %q for bo; the broker sees %s…", secret, sealed[:24])
	if err := d.message(ctx, ada, bo, bo.Key().String(), nonce, sealed, secret); err != nil {
		return err
	}
	const open = "lunch at one?"
	nonce, plain := dial.Plain(open)
	d.say("ada asks the group @crew %q; messages to groups are not sealed", open)
	return d.message(ctx, ada, bo, "@crew", nonce, plain, open)
}

// message sends, and waits until bo has read it and the broker knows.
func (d *demonstration) message(ctx context.Context, ada, bo *dial.Peer, target, nonce, body, want string) error {
	ack, err := ada.Send(ctx, target, sdk.PriorityNow, nonce, body, dial.SendOptions{})
	switch {
	case err != nil:
		return err
	case !ack.Queued:
		return errors.New("the broker refused: " + ack.Error)
	}
	if err := d.walks.print(ctx, d.out, sdk.KindSend); err != nil {
		return err
	}
	push, err := bo.RecvMessage(ctx)
	if err != nil {
		return err
	}
	text, err := bo.Open(push)
	if err != nil {
		return err
	}
	if text != want {
		return fmt.Errorf("bo read %q, ada wrote %q", text, want)
	}
	how := "opens it"
	if base64.StdEncoding.EncodeToString([]byte(text)) == push.Ciphertext {
		how = "reads it"
	}
	d.say("bo %s: %q from %s, message %s", how, text, push.SenderName, push.MessageID)
	return d.walks.print(ctx, d.out, sdk.KindClientAck)
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
)

// firstMesh is the name of the mesh that a fresh store begins with.
const firstMesh = "home"

// greet tells the operator what serves where, and on a fresh store makes a first
// mesh and says how to go on.
//
// In production nothing is made and no invite is printed: standard error is then
// a log that others read, and an invite lets its reader in.
func (b *broker) greet(ctx context.Context, addr string) error {
	fmt.Fprintf(b.err, "broker %s on %s, %s\n", programVersion(), localURL(addr), where(b.config))
	release, err := b.firstComer(ctx)
	if err != nil {
		return err
	}
	defer release()
	meshes, err := b.ops.ListMeshes(ctx)
	switch {
	case err != nil:
		return err
	case len(meshes) > 0:
		fmt.Fprintf(b.err, "%d mesh(es); broker mesh list shows them, broker invite create %s lets one more peer in\n",
			len(meshes), meshes[0].Slug)
		return nil
	case b.config.Mode == config.Production:
		fmt.Fprintf(b.err, "no mesh yet: broker mesh create NAME --owner USER%s makes one, and broker session create USER%[1]s signs USER in over HTTP\n",
			b.settings.place(b.config))
		return nil
	}
	m, err := b.ops.CreateMesh(ctx, firstMesh, admin.MeshOptions{})
	if err != nil {
		return err
	}
	fmt.Fprintf(b.err, `
A first mesh, %q, is there. This invite lets 100 peers join, for 7 days:

  INVITE=%s

Type next, in two other terminals:

  broker peer listen --name bo  --invite $INVITE
  broker peer send   --name ada --invite $INVITE bo "hello"

To make meshes and invites over HTTP, get a token: broker session create USER%s

`, m.Slug, m.Invite, b.settings.place(b.config))
	return nil
}

// where says where the store is, without a password.
func where(c config.Config) string {
	if c.Store.Engine() == "sqlite" {
		return "store in " + c.DataDir
	}
	return "store in " + storeName(c) + ", control socket in " + c.DataDir
}

// firstComer waits for its turn among the brokers that start on one store at the
// same time: one of them makes the first mesh.
func (b *broker) firstComer(ctx context.Context) (release func(), err error) {
	shared, ok := b.store.(store.Shared)
	if !ok {
		return func() {}, nil
	}
	for {
		release, ok, err = shared.TryLock(ctx, "first mesh")
		if ok || err != nil {
			return release, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

package feature

import (
	"context"
	"errors"
	"slices"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// fileReader is who asks for files: a session, or over HTTP a member, who is then
// every session that it has.
type fileReader struct {
	member  *store.Member
	mesh    *store.Mesh
	keys    []sdk.Key // of sessions
	targets []string  // that mean it
}

// peer returns the key by which the access log knows it.
func (r *fileReader) peer() sdk.Key {
	if len(r.keys) == 1 {
		return r.keys[0]
	}
	return r.member.Key
}

// manages reports whether it may see and delete the files of all.
func (r *fileReader) manages() bool { return r.mesh.May(r.member, store.CanManageFiles) }

// reader returns who asks.
func (b *FileBook) reader(ctx context.Context, c *Call) (*fileReader, error) {
	r := &fileReader{}
	var groups []string
	if c.HTTP != nil {
		r.member, r.mesh = c.Member, c.HTTP.Mesh
		if r.member == nil || r.mesh == nil {
			return nil, core.Refuse(sdk.ReasonForbidden, "not a member of this mesh")
		}
		for _, s := range b.dir.OfMember(r.member.ID) {
			groups = groupsOf(b.dir.View(s).Groups, groups)
			if !s.Key.IsZero() {
				r.keys = append(r.keys, s.Key)
			}
		}
	} else {
		by, err := whoAsks(ctx, b.roster, c)
		if err != nil {
			return nil, err
		}
		r.member, r.mesh = by.Member, by.mesh
		groups = groupsOf(b.dir.View(c.Session).Groups, nil)
		if key := c.Env.Sender.Session; !key.IsZero() {
			r.keys = []sdk.Key{key}
		}
	}
	r.targets = []string{"", "*", r.member.Key.String()}
	for _, key := range r.keys {
		r.targets = append(r.targets, key.String())
	}
	for _, g := range groupsOf(r.member.DefaultGroups, groups) {
		r.targets = append(r.targets, "@"+g)
	}
	return r, nil
}

// Open decides whether the sender of a call may have a file, and returns who that is
// in the access log and the sealed key that was left for it.
func (b *FileBook) Open(ctx context.Context, c *Call, f *store.File) (peer sdk.Key, sealed string, err error) {
	r, err := b.reader(ctx, c)
	if err != nil {
		return sdk.Key{}, "", err
	}
	sealed, err = b.open(ctx, r, f)
	return r.peer(), sealed, err
}

func (b *FileBook) open(ctx context.Context, r *fileReader, f *store.File) (sealed string, err error) {
	sealed, err = b.store.SealedKey(ctx, f.ID, append(slices.Clone(r.keys), r.member.Key)...)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return "", core.Unavailable(err)
	case f.MemberID == r.member.ID:
		return sealed, nil
	case !slices.Contains(r.targets, f.Target):
		return "", core.Refuse(sdk.ReasonForbidden, "file not targeted at you: ask "+f.Author+" for it")
	}
	named := sealed != "" || isKey(f.Target)
	if lets, err := b.lets(ctx, f.MemberID, r, named); err != nil {
		return "", err
	} else if !lets {
		return "", core.Refuse(sdk.ReasonForbidden, f.Author+" does not let you read files: ask for the grant "+string(store.CapFileRead))
	}
	if f.Encrypted && sealed == "" {
		return "", core.Refuse(sdk.ReasonForbidden, "no decryption key for this file: ask "+f.Author+" to grant you access")
	}
	return sealed, nil
}

func isKey(target string) bool { return len(target) == 64 && target[0] != '@' }

// lets reports whether a member lets a reader have its files. Who says nothing of the
// reader does, since uploading is sharing; else its grants have to say file-read, or
// at least not block the reader, where the file names it. Grants end with their
// member.
func (b *FileBook) lets(ctx context.Context, uploader string, r *fileReader, named bool) (bool, error) {
	by, err := b.roster.MemberByID(ctx, uploader)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return true, nil
	case err != nil:
		return false, core.Unavailable(err)
	case !by.Live():
		return true, nil
	}
	entry, said := by.Grants.Entry(r.member.Key, sdk.Key{})
	for _, key := range r.keys {
		if !said {
			entry, said = by.Grants.Entry(r.member.Key, key)
		}
	}
	return !said || slices.Contains(entry, store.CapFileRead) || named && len(entry) > 0, nil
}

// visible returns the newest files that a reader may know of.
func (b *FileBook) visible(ctx context.Context, r *fileReader, match store.FileMatch) ([]*store.File, error) {
	if r.manages() {
		return b.list(ctx, r, match)
	}
	match.Targets, match.Member = r.targets, r.member.ID
	known := map[string]bool{r.member.ID: true}
	sees := func(ctx context.Context, id string) (bool, error) {
		if may, ok := known[id]; ok {
			return may, nil
		}
		may, err := b.lets(ctx, id, r, false)
		if err == nil {
			known[id] = may
		}
		return may, err
	}
	return inSight(ctx, sees, func(f *store.File) string { return f.MemberID }, func(except []string) ([]*store.File, error) {
		match.Except = except
		return b.store.ListFiles(ctx, r.member.MeshID, match, listedFiles)
	})
}

func (b *FileBook) list(ctx context.Context, r *fileReader, match store.FileMatch) ([]*store.File, error) {
	list, err := b.store.ListFiles(ctx, r.member.MeshID, match, listedFiles)
	if err != nil {
		return nil, core.Unavailable(err)
	}
	return list, nil
}

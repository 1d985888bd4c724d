package store

import "context"

// once puts a row that somebody may delete here. One that was imported before is
// known: it is not put, so that what was deleted stays so.
func (i *importing) once(ctx context.Context, kind, id string, put func() (bool, error)) (added, known bool, err error) {
	if known, err = i.tx.Adopted(ctx, i.mesh, kind, id); err != nil || known {
		return false, known, err
	}
	if added, err = put(); err != nil || !added {
		return false, false, err
	}
	return true, false, i.tx.SetAdopted(ctx, i.mesh, kind, id)
}

func (i *importing) streams(ctx context.Context, c *MeshCopy) error {
	return putAll(ctx, c.Streams, &i.result.Streams, i.tx.PutStream)
}

func (i *importing) skills(ctx context.Context, c *MeshCopy) error {
	return putAll(ctx, c.Skills, &i.result.Skills, func(ctx context.Context, sk *Skill) (bool, error) {
		row := *sk
		row.MemberID = i.owner(sk.MemberID)
		added, _, err := i.once(ctx, "skill", sk.Name, func() (bool, error) { return i.tx.PutSkill(ctx, &row) })
		return added, err
	})
}

func (i *importing) vault(ctx context.Context, c *MeshCopy) error {
	for _, e := range c.Vault {
		if i.lost[e.MemberID] {
			continue
		}
		row := *e
		row.MemberID = i.member(e.MemberID)
		added, _, err := i.once(ctx, "secret", e.MemberID+" "+e.Key, func() (bool, error) { return i.tx.PutVaultEntry(ctx, &row) })
		if err != nil {
			return err
		}
		i.result.Vault.count(added)
	}
	return nil
}

// apiKeys writes keys of members that are not revoked here: a key ends with its
// member.
func (i *importing) apiKeys(ctx context.Context, c *MeshCopy) error {
	for _, k := range c.APIKeys {
		row := *k
		row.MemberID = i.owner(k.MemberID)
		added, known, err := i.once(ctx, "API key", k.ID, func() (bool, error) {
			live, err := i.tx.LiveMember(ctx, i.mesh, row.MemberID)
			if err != nil || !live {
				return false, err
			}
			return i.tx.PutAPIKey(ctx, &row)
		})
		if err != nil {
			return err
		}
		if !added && !known {
			i.conflict("API key", k.ID, "its member is revoked here, or its id or its secret is here already")
			continue
		}
		i.result.APIKeys.count(added)
	}
	return nil
}

func (i *importing) webhooks(ctx context.Context, c *MeshCopy) error {
	for _, w := range c.Webhooks {
		if i.lost[w.MemberID] {
			continue
		}
		row := *w
		row.MemberID = i.member(w.MemberID)
		added, known, err := i.once(ctx, "webhook", w.ID, func() (bool, error) { return i.tx.PutWebhook(ctx, &row) })
		if err != nil {
			return err
		}
		if !added && !known {
			i.conflict("webhook", w.ID, "its id, its name or its secret is here already")
			continue
		}
		i.result.Webhooks.count(added)
	}
	return nil
}

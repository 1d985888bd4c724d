package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/claudemesh/broker/core/store"
)

const webhookColumns = `id, mesh_id, name, member_id, author, target, signature, signing_key, created_at, secret, old_secret, old_until`

const (
	listWebhooks    = `SELECT ` + webhookColumns + ` FROM webhook WHERE mesh_id = $1 ORDER BY name`
	webhookByName   = `SELECT ` + webhookColumns + ` FROM webhook WHERE mesh_id = $1 AND name = $2`
	webhookBySecret = `SELECT ` + webhookColumns + ` FROM webhook WHERE secret = $1`
	webhookByOld    = `SELECT ` + webhookColumns + ` FROM webhook WHERE old_secret = $1 AND old_until > $2`

	// Who makes a webhook waits for its turn, so that no two are the last that fits.
	webhookTurn   = `SELECT pg_advisory_xact_lock($1)`
	countWebhooks = `SELECT count(*), count(*) FILTER (WHERE member_id = $2) FROM webhook WHERE mesh_id = $1`

	insertWebhook = `INSERT INTO webhook (` + webhookColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, NULL)
		ON CONFLICT (mesh_id, name) DO NOTHING`
	rotateWebhook = `UPDATE webhook SET old_secret = secret, old_until = $3, secret = $2 WHERE id = $1`
	deleteWebhook = `DELETE FROM webhook WHERE id = $1`
)

// CreateWebhook implements [store.Webhooks].
func (s *Store) CreateWebhook(ctx context.Context, w *store.Webhook, room store.Room) (err error) {
	defer wrap(&err, "create webhook")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, webhookTurn, lockKey("webhooks of "+w.MeshID)); err != nil {
			return err
		}
		var mesh, member int
		if err := tx.QueryRow(ctx, countWebhooks, w.MeshID, w.MemberID).Scan(&mesh, &member); err != nil {
			return err
		}
		err := onlyOne(tx.Exec(ctx, insertWebhook, w.ID, w.MeshID, w.Name, w.MemberID, w.Author, w.Target, w.Signature,
			w.SigningKey, whole(w.CreatedAt), w.Secret[:]))
		if err != nil {
			return err
		}
		return room.Fits(mesh, member)
	})
}

// ListWebhooks implements [store.Webhooks].
func (s *Store) ListWebhooks(ctx context.Context, mesh string) (list []*store.Webhook, err error) {
	defer wrap(&err, "list webhooks")
	return all(ctx, s, scanWebhook, listWebhooks, mesh)
}

// Webhook implements [store.Webhooks].
func (s *Store) Webhook(ctx context.Context, mesh, name string) (w *store.Webhook, err error) {
	defer wrap(&err, "read webhook")
	return one(ctx, s, scanWebhook, webhookByName, mesh, name)
}

// WebhookBySecret implements [store.Webhooks].
func (s *Store) WebhookBySecret(ctx context.Context, mesh string, secret [32]byte, at time.Time) (w *store.Webhook, err error) {
	defer wrap(&err, "find webhook")
	w, err = s.webhook(ctx, webhookBySecret, secret[:])
	if errors.Is(err, pgx.ErrNoRows) {
		w, err = s.webhook(ctx, webhookByOld, secret[:], whole(at))
	}
	if err == nil && w.MeshID != mesh {
		return nil, pgx.ErrNoRows
	}
	return w, err
}

func (s *Store) webhook(ctx context.Context, query string, args ...any) (*store.Webhook, error) {
	return one(ctx, s, scanWebhook, query, args...)
}

// RotateWebhook implements [store.Webhooks].
func (s *Store) RotateWebhook(ctx context.Context, id string, secret [32]byte, until time.Time) (err error) {
	defer wrap(&err, "rotate webhook")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return oneFound(tx.Exec(ctx, rotateWebhook, id, secret[:], whole(until)))
	})
}

// DeleteWebhook implements [store.Webhooks].
func (s *Store) DeleteWebhook(ctx context.Context, id string) (err error) {
	defer wrap(&err, "delete webhook")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return oneFound(tx.Exec(ctx, deleteWebhook, id))
	})
}

func scanWebhook(row scanner) (*store.Webhook, error) {
	w := new(store.Webhook)
	err := row.Scan(&w.ID, &w.MeshID, &w.Name, &w.MemberID, &w.Author, &w.Target, &w.Signature, &w.SigningKey,
		(*stamp)(&w.CreatedAt), (*hash)(&w.Secret), (*hash)(&w.OldSecret), (*stamp)(&w.OldUntil))
	if err != nil {
		return nil, err
	}
	return w, nil
}

// oneFound takes the result of a statement on one row, and returns ErrNotFound
// when it has found none.
func oneFound(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		return store.ErrNotFound
	}
	return err
}

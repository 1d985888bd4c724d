package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/claudemesh/broker/core/store"
)

const webhookColumns = `id, mesh_id, name, member_id, author, target, signature, signing_key, created_at, secret, old_secret, old_until`

const (
	listWebhooks    = `SELECT ` + webhookColumns + ` FROM webhook WHERE mesh_id = ?1 ORDER BY name`
	webhookByName   = `SELECT ` + webhookColumns + ` FROM webhook WHERE mesh_id = ?1 AND name = ?2`
	webhookBySecret = `SELECT ` + webhookColumns + ` FROM webhook WHERE secret = ?1`
	webhookByOld    = `SELECT ` + webhookColumns + ` FROM webhook WHERE old_secret = ?1 AND old_until > ?2`

	countWebhooks = `SELECT count(*), count(*) FILTER (WHERE member_id = ?2) FROM webhook WHERE mesh_id = ?1`

	insertWebhook = `INSERT INTO webhook (` + webhookColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL, NULL)
		ON CONFLICT (mesh_id, name) DO NOTHING`
	rotateWebhook = `UPDATE webhook SET old_secret = secret, old_until = ?3, secret = ?2 WHERE id = ?1`
	deleteWebhook = `DELETE FROM webhook WHERE id = ?1`
)

// CreateWebhook implements [store.Webhooks].
func (s *Store) CreateWebhook(ctx context.Context, w *store.Webhook, room store.Room) (err error) {
	defer wrap(&err, "create webhook")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var mesh, member int
		if err := tx.QueryRowContext(ctx, countWebhooks, w.MeshID, w.MemberID).Scan(&mesh, &member); err != nil {
			return err
		}
		err := onlyOne(tx.ExecContext(ctx, insertWebhook, w.ID, w.MeshID, w.Name, w.MemberID, w.Author, w.Target, w.Signature,
			w.SigningKey, w.CreatedAt.UnixMilli(), hashArg(w.Secret)))
		if err != nil {
			return err
		}
		return room.Fits(mesh, member)
	})
}

// ListWebhooks implements [store.Webhooks].
func (s *Store) ListWebhooks(ctx context.Context, mesh string) (list []*store.Webhook, err error) {
	defer wrap(&err, "list webhooks")
	rows, err := s.read.QueryContext(ctx, listWebhooks, mesh)
	return collect(rows, err, scanWebhook)
}

// Webhook implements [store.Webhooks].
func (s *Store) Webhook(ctx context.Context, mesh, name string) (w *store.Webhook, err error) {
	defer wrap(&err, "read webhook")
	return scanWebhook(s.read.QueryRowContext(ctx, webhookByName, mesh, name))
}

// WebhookBySecret implements [store.Webhooks].
func (s *Store) WebhookBySecret(ctx context.Context, mesh string, secret [32]byte, at time.Time) (w *store.Webhook, err error) {
	defer wrap(&err, "find webhook")
	w, err = s.webhook(ctx, webhookBySecret, hashArg(secret))
	if errors.Is(err, sql.ErrNoRows) {
		w, err = s.webhook(ctx, webhookByOld, hashArg(secret), at.UnixMilli())
	}
	if err == nil && w.MeshID != mesh {
		return nil, sql.ErrNoRows
	}
	return w, err
}

func (s *Store) webhook(ctx context.Context, query string, args ...any) (*store.Webhook, error) {
	return scanWebhook(s.read.QueryRowContext(ctx, query, args...))
}

// RotateWebhook implements [store.Webhooks].
func (s *Store) RotateWebhook(ctx context.Context, id string, secret [32]byte, until time.Time) (err error) {
	defer wrap(&err, "rotate webhook")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return changed(tx.ExecContext(ctx, rotateWebhook, id, hashArg(secret), until.UnixMilli()))
	})
}

// DeleteWebhook implements [store.Webhooks].
func (s *Store) DeleteWebhook(ctx context.Context, id string) (err error) {
	defer wrap(&err, "delete webhook")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return changed(tx.ExecContext(ctx, deleteWebhook, id))
	})
}

func scanWebhook(row scanner) (*store.Webhook, error) {
	w := new(store.Webhook)
	err := row.Scan(&w.ID, &w.MeshID, &w.Name, &w.MemberID, &w.Author, &w.Target, &w.Signature, &w.SigningKey,
		(*millis)(&w.CreatedAt), (*hash)(&w.Secret), (*hash)(&w.OldSecret), (*millis)(&w.OldUntil))
	if err != nil {
		return nil, err
	}
	return w, nil
}

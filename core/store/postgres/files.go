package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const fileColumns = `id, mesh_id, name, size, received, media_type, tags, persistent, encrypted, target, member_id, author,
	created_at, ready_at, expires_at, gone_at, hash, digest, request`

const (
	insertFile = `INSERT INTO file (` + fileColumns + `, folded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
		$13, $14, $15, $16, $17, $18, $19, $20)`
	sameFile   = `SELECT id FROM file WHERE mesh_id = $1 AND request = $2 AND gone_at IS NULL AND ready_at IS NULL`
	fileByID   = `SELECT ` + fileColumns + ` FROM file WHERE id = $1 AND mesh_id = $2 AND gone_at IS NULL`
	countFiles = `SELECT count(*) FROM file WHERE mesh_id = $1 AND gone_at IS NULL AND ready_at IS NOT NULL`

	// Who adds a file waits for its turn, so that no two are the last that fits.
	fileTurn = `SELECT pg_advisory_xact_lock($1)`
	fileUse  = `SELECT count(*), coalesce(sum(size), 0)::bigint, count(*) - count(ready_at),
		count(*) FILTER (WHERE member_id = $2)
			+ (SELECT count(*) FROM file WHERE mesh_id = $1 AND member_id = $2 AND gone_at IS NOT NULL),
		(coalesce(sum(size) FILTER (WHERE member_id = $2), 0))::bigint,
		count(*) FILTER (WHERE member_id = $2 AND ready_at IS NULL)
		FROM file WHERE mesh_id = $1 AND gone_at IS NULL`

	// What is being written of files that are gone.
	fileRest = `SELECT count(*), coalesce(sum(size - received), 0)::bigint, count(*) FILTER (WHERE member_id = $2),
		(coalesce(sum(size - received) FILTER (WHERE member_id = $2), 0))::bigint
		FROM file WHERE mesh_id = $1 AND gone_at IS NOT NULL AND held_until > $3`

	listFiles = `SELECT ` + fileColumns + ` FROM file WHERE mesh_id = $1 AND gone_at IS NULL AND ready_at IS NOT NULL
		AND ($2 = '' OR strpos(folded, $2) > 0) AND ($3 = '' OR author = $3)
		AND ($4::text[] IS NULL OR member_id = $5 OR target = ANY ($4::text[]))
		AND member_id <> ALL ($6::text[]) ORDER BY created_at DESC, id DESC LIMIT $7`

	holdUpload = `UPDATE file SET holder = $3, held_until = $5 WHERE id = $1 AND received = $2 AND ready_at IS NULL
		AND gone_at IS NULL AND (held_until IS NULL OR held_until <= $4)`
	isOpen     = `SELECT id FROM file WHERE id = $1 AND received = $2 AND ready_at IS NULL AND gone_at IS NULL`
	keepUpload = `UPDATE file SET held_until = $3 WHERE id = $1 AND holder = $2`
	moveFile   = `UPDATE file SET received = $1, hash = $2, digest = $3, ready_at = $4, expires_at = $5,
		unrecorded = $4::timestamptz IS NOT NULL
		WHERE id = $6 AND received = $7 AND holder = $8 AND ready_at IS NULL AND gone_at IS NULL`

	unrecordedFiles = `SELECT ` + fileColumns + ` FROM file WHERE unrecorded AND ready_at < $1 ORDER BY ready_at LIMIT $2`
	fileRecorded    = `UPDATE file SET unrecorded = false WHERE id = $1`

	insertPiece = `INSERT INTO file_piece (file_id, start, size, object) VALUES ($1, $2, $3, $4)`
	pieces      = `SELECT start, size, object FROM file_piece WHERE file_id = $1 ORDER BY start`

	dropFile     = `UPDATE file SET gone_at = $1 WHERE id = $2 AND mesh_id = $3 AND gone_at IS NULL`
	dropKeys     = `DELETE FROM file_key WHERE file_id = $1`
	dropAccesses = `DELETE FROM file_access WHERE file_id = $1`
	expiredFiles = `SELECT ` + fileColumns + ` FROM file WHERE id IN (
		SELECT id FROM file WHERE gone_at IS NULL AND expires_at IS NOT NULL AND expires_at <= $1
		UNION ALL SELECT f.id FROM mesh m JOIN file f ON f.mesh_id = m.id AND f.gone_at IS NULL WHERE m.archived_at IS NOT NULL)
		ORDER BY expires_at LIMIT $2`
	goneFiles = `SELECT ` + fileColumns + ` FROM file WHERE gone_at IS NOT NULL AND gone_at < $1 ORDER BY gone_at LIMIT $2`
	eraseFile = `DELETE FROM file WHERE id = $1 AND gone_at IS NOT NULL`

	// The row is held, so that the file is not erased meanwhile and that no two are
	// the last that fits.
	holdFile  = `SELECT id FROM file WHERE id = $1 AND gone_at IS NULL FOR NO KEY UPDATE`
	countKeys = `SELECT count(*) FROM file_key WHERE file_id = $1 AND peer <> $2`
	setKey    = `INSERT INTO file_key (file_id, peer, sealed, granted_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (file_id, peer) DO UPDATE SET sealed = excluded.sealed, granted_at = excluded.granted_at`
	sealedKey = `SELECT sealed FROM file_key WHERE file_id = $1 AND peer = ANY ($2)
		ORDER BY array_position($2, peer) LIMIT 1`

	writeAccess = `INSERT INTO file_access (file_id, peer, name, accessed_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (file_id, peer) DO UPDATE SET name = excluded.name,
			accessed_at = greatest(file_access.accessed_at, excluded.accessed_at)`
	trimAccesses = `DELETE FROM file_access WHERE file_id = $1 AND peer IN
		(SELECT peer FROM file_access WHERE file_id = $1 ORDER BY accessed_at DESC, peer OFFSET $2)`
	fileAccesses = `SELECT file_id, peer, name, accessed_at FROM file_access WHERE file_id = $1
		ORDER BY accessed_at DESC, peer LIMIT $2`
)

// CreateFile implements [store.Files].
func (s *Store) CreateFile(ctx context.Context, f *store.File, keys []store.FileKey, room store.FileRoom) (id string, fresh bool, err error) {
	defer wrap(&err, "create file")
	err = s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		id, fresh = "", false
		if _, err := tx.Exec(ctx, fileTurn, lockKey("files of "+f.MeshID)); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, sameFile, f.MeshID, keyArg(sdk.Key(f.Request))).Scan(&id); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err := roomForFile(ctx, tx, f, room); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, insertFile, append(fileArgs(f), strings.ToLower(f.Name))...); err != nil {
			return err
		}
		for i := range keys {
			k := &keys[i]
			if _, err := tx.Exec(ctx, setKey, f.ID, k.Peer[:], k.Sealed, whole(k.GrantedAt)); err != nil {
				return err
			}
		}
		id, fresh = f.ID, true
		return nil
	})
	return id, fresh, err
}

func roomForFile(ctx context.Context, tx pgx.Tx, f *store.File, room store.FileRoom) error {
	var mesh, member, meshRest, memberRest store.FileUse
	err := tx.QueryRow(ctx, fileUse, f.MeshID, f.MemberID).Scan(&mesh.Files, &mesh.Bytes, &mesh.Open,
		&member.Files, &member.Bytes, &member.Open)
	if err != nil {
		return err
	}
	err = tx.QueryRow(ctx, fileRest, f.MeshID, f.MemberID, whole(f.CreatedAt)).Scan(&meshRest.Open, &meshRest.Bytes,
		&memberRest.Open, &memberRest.Bytes)
	if err != nil {
		return err
	}
	return room.Fits(mesh.And(meshRest), member.And(memberRest), f.Size)
}

func fileArgs(f *store.File) []any {
	return []any{
		f.ID, f.MeshID, f.Name, f.Size, f.Received, f.MediaType, inJSON{&f.Tags}, f.Persistent, f.Encrypted, f.Target,
		f.MemberID, f.Author, whole(f.CreatedAt), timeArg(f.ReadyAt), timeArg(f.ExpiresAt), timeArg(f.GoneAt), f.Hash,
		keyArg(sdk.Key(f.Digest)), keyArg(sdk.Key(f.Request)),
	}
}

func scanFile(row scanner) (*store.File, error) {
	f := new(store.File)
	err := row.Scan(&f.ID, &f.MeshID, &f.Name, &f.Size, &f.Received, &f.MediaType, inJSON{&f.Tags}, &f.Persistent, &f.Encrypted,
		&f.Target, &f.MemberID, &f.Author, (*stamp)(&f.CreatedAt), (*stamp)(&f.ReadyAt), (*stamp)(&f.ExpiresAt),
		(*stamp)(&f.GoneAt), &f.Hash, (*hash)(&f.Digest), (*hash)(&f.Request))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// File implements [store.Files].
func (s *Store) File(ctx context.Context, mesh, id string) (f *store.File, err error) {
	defer wrap(&err, "read file")
	return one(ctx, s, scanFile, fileByID, id, mesh)
}

// HoldUpload implements [store.Files].
func (s *Store) HoldUpload(ctx context.Context, id string, received int64, holder string, now, until time.Time) (err error) {
	defer wrap(&err, "hold upload")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		held, err := tx.Exec(ctx, holdUpload, id, received, holder, whole(now), whole(until))
		if err != nil || held.RowsAffected() > 0 {
			return err
		}
		if _, err := value[string](tx.QueryRow(ctx, isOpen, id, received)); err != nil {
			return err
		}
		return store.ErrConflict
	})
}

// KeepUpload implements [store.Files].
func (s *Store) KeepUpload(ctx context.Context, id, holder string, until time.Time) (err error) {
	defer wrap(&err, "keep upload")
	_, err = s.exec(ctx, keepUpload, id, holder, timeArg(until))
	return err
}

// UnrecordedFiles implements [store.Files].
func (s *Store) UnrecordedFiles(ctx context.Context, before time.Time, limit int) (list []*store.File, err error) {
	defer wrap(&err, "list unrecorded files")
	return all(ctx, s, scanFile, unrecordedFiles, whole(before), limit)
}

// FileRecorded implements [store.Files].
func (s *Store) FileRecorded(ctx context.Context, id string) (err error) {
	defer wrap(&err, "note record of file")
	_, err = s.exec(ctx, fileRecorded, id)
	return err
}

// AddPiece implements [store.Files].
func (s *Store) AddPiece(ctx context.Context, f *store.File, p store.FilePiece, holder string) (err error) {
	defer wrap(&err, "add piece")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		moved, err := tx.Exec(ctx, moveFile, f.Received, f.Hash, keyArg(sdk.Key(f.Digest)), timeArg(f.ReadyAt),
			timeArg(f.ExpiresAt), f.ID, p.Start, holder)
		switch {
		case err != nil:
			return err
		case moved.RowsAffected() == 0:
			return store.ErrConflict
		}
		_, err = tx.Exec(ctx, insertPiece, f.ID, p.Start, p.Size, p.Object)
		return err
	})
}

// FilePieces implements [store.Files].
func (s *Store) FilePieces(ctx context.Context, id string) (list []store.FilePiece, err error) {
	defer wrap(&err, "list pieces")
	return all(ctx, s, func(row scanner) (p store.FilePiece, err error) {
		err = row.Scan(&p.Start, &p.Size, &p.Object)
		return p, err
	}, pieces, id)
}

// ListFiles implements [store.Files].
func (s *Store) ListFiles(ctx context.Context, mesh string, match store.FileMatch, limit int) (list []*store.File, err error) {
	defer wrap(&err, "list files")
	return all(ctx, s, scanFile, listFiles, mesh, strings.ToLower(match.Query), match.From, match.Targets, match.Member,
		texts(match.Except), limit)
}

// CountFiles implements [store.Files].
func (s *Store) CountFiles(ctx context.Context, mesh string) (n int64, err error) {
	defer wrap(&err, "count files")
	return one(ctx, s, value[int64], countFiles, mesh)
}

// DropFile implements [store.Files].
func (s *Store) DropFile(ctx context.Context, mesh, id string, at time.Time) (err error) {
	defer wrap(&err, "drop file")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		gone, err := tx.Exec(ctx, dropFile, whole(at), id, mesh)
		if err := changed(gone.RowsAffected(), err); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, dropKeys, id); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, dropAccesses, id)
		return err
	})
}

// ExpiredFiles implements [store.Files].
func (s *Store) ExpiredFiles(ctx context.Context, now time.Time, limit int) (list []*store.File, err error) {
	defer wrap(&err, "list expired files")
	return all(ctx, s, scanFile, expiredFiles, whole(now), limit)
}

// GoneFiles implements [store.Files].
func (s *Store) GoneFiles(ctx context.Context, before time.Time, limit int) (list []*store.File, err error) {
	defer wrap(&err, "list gone files")
	return all(ctx, s, scanFile, goneFiles, whole(before), limit)
}

// EraseFile implements [store.Files].
func (s *Store) EraseFile(ctx context.Context, id string) (err error) {
	defer wrap(&err, "erase file")
	_, err = s.exec(ctx, eraseFile, id)
	return err
}

// SetFileKey implements [store.Files].
func (s *Store) SetFileKey(ctx context.Context, k *store.FileKey, most int) (err error) {
	defer wrap(&err, "set file key")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := value[string](tx.QueryRow(ctx, holdFile, k.FileID)); err != nil {
			return err
		}
		others, err := value[int](tx.QueryRow(ctx, countKeys, k.FileID, k.Peer[:]))
		switch {
		case err != nil:
			return err
		case others >= most:
			return &store.FullError{Most: most}
		}
		_, err = tx.Exec(ctx, setKey, k.FileID, k.Peer[:], k.Sealed, whole(k.GrantedAt))
		return err
	})
}

// SealedKey implements [store.Files].
func (s *Store) SealedKey(ctx context.Context, fileID string, peers ...sdk.Key) (sealed string, err error) {
	defer wrap(&err, "read sealed key")
	return one(ctx, s, value[string], sealedKey, fileID, keyArgs(peers))
}

// FileAccessed implements [store.Files].
func (s *Store) FileAccessed(ctx context.Context, a *store.FileAccess, keep int) (err error) {
	defer wrap(&err, "write access")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := value[string](tx.QueryRow(ctx, holdFile, a.FileID))
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		if _, err := tx.Exec(ctx, writeAccess, a.FileID, a.Peer[:], a.Name, whole(a.At)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, trimAccesses, a.FileID, keep)
		return err
	})
}

// FileAccesses implements [store.Files].
func (s *Store) FileAccesses(ctx context.Context, fileID string, limit int) (list []*store.FileAccess, err error) {
	defer wrap(&err, "list accesses")
	return all(ctx, s, func(row scanner) (*store.FileAccess, error) {
		a := new(store.FileAccess)
		err := row.Scan(&a.FileID, (*key)(&a.Peer), &a.Name, (*stamp)(&a.At))
		return a, err
	}, fileAccesses, fileID, limit)
}

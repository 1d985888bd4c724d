package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

const fileColumns = `id, mesh_id, name, size, received, media_type, tags, persistent, encrypted, target, member_id, author,
	created_at, ready_at, expires_at, gone_at, hash, digest, request`

const (
	insertFile = `INSERT INTO file (` + fileColumns + `, folded)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sameFile   = `SELECT id FROM file WHERE mesh_id = ? AND request = ? AND gone_at IS NULL AND ready_at IS NULL`
	fileByID   = `SELECT ` + fileColumns + ` FROM file WHERE id = ? AND mesh_id = ? AND gone_at IS NULL`
	countFiles = `SELECT count(*) FROM file WHERE mesh_id = ? AND gone_at IS NULL AND ready_at IS NOT NULL`

	fileUse = `SELECT count(*), coalesce(sum(size), 0), count(*) - count(ready_at),
		count(*) FILTER (WHERE member_id = ?2)
			+ (SELECT count(*) FROM file WHERE mesh_id = ?1 AND member_id = ?2 AND gone_at IS NOT NULL),
		coalesce(sum(size) FILTER (WHERE member_id = ?2), 0),
		count(*) FILTER (WHERE member_id = ?2 AND ready_at IS NULL)
		FROM file WHERE mesh_id = ?1 AND gone_at IS NULL`

	// What is being written of files that are gone.
	fileRest = `SELECT count(*), coalesce(sum(size - received), 0), count(*) FILTER (WHERE member_id = ?2),
		coalesce(sum(size - received) FILTER (WHERE member_id = ?2), 0)
		FROM file WHERE mesh_id = ?1 AND gone_at IS NOT NULL AND held_until > ?3`

	listFiles = `SELECT ` + fileColumns + ` FROM file WHERE mesh_id = ?1 AND gone_at IS NULL AND ready_at IS NOT NULL
		AND (?2 = '' OR instr(folded, ?2) > 0) AND (?3 = '' OR author = ?3)
		AND (?4 = 'null' OR member_id = ?5 OR target IN (SELECT value FROM json_each(?4)))
		AND member_id NOT IN (SELECT value FROM json_each(?6)) ORDER BY created_at DESC, id DESC LIMIT ?7`

	holdUpload = `UPDATE file SET holder = ?3, held_until = ?5 WHERE id = ?1 AND received = ?2 AND ready_at IS NULL
		AND gone_at IS NULL AND (held_until IS NULL OR held_until <= ?4)`
	isOpen     = `SELECT id FROM file WHERE id = ? AND received = ? AND ready_at IS NULL AND gone_at IS NULL`
	keepUpload = `UPDATE file SET held_until = ?3 WHERE id = ?1 AND holder = ?2`
	moveFile   = `UPDATE file SET received = ?1, hash = ?2, digest = ?3, ready_at = ?4, expires_at = ?5, unrecorded = ?4 IS NOT NULL
		WHERE id = ?6 AND received = ?7 AND holder = ?8 AND ready_at IS NULL AND gone_at IS NULL`

	unrecordedFiles = `SELECT ` + fileColumns + ` FROM file WHERE unrecorded <> 0 AND ready_at < ? ORDER BY ready_at LIMIT ?`
	fileRecorded    = `UPDATE file SET unrecorded = 0 WHERE id = ?`

	insertPiece = `INSERT INTO file_piece (file_id, start, size, object) VALUES (?, ?, ?, ?)`
	pieces      = `SELECT start, size, object FROM file_piece WHERE file_id = ? ORDER BY start`

	dropFile     = `UPDATE file SET gone_at = ? WHERE id = ? AND mesh_id = ? AND gone_at IS NULL`
	dropKeys     = `DELETE FROM file_key WHERE file_id = ?`
	dropAccesses = `DELETE FROM file_access WHERE file_id = ?`
	expiredFiles = `SELECT ` + fileColumns + ` FROM file WHERE id IN (
		SELECT id FROM file WHERE gone_at IS NULL AND expires_at IS NOT NULL AND expires_at <= ?
		UNION ALL SELECT f.id FROM mesh m CROSS JOIN file f ON f.mesh_id = m.id AND f.gone_at IS NULL WHERE m.archived_at IS NOT NULL)
		ORDER BY expires_at LIMIT ?`
	goneFiles = `SELECT ` + fileColumns + ` FROM file WHERE gone_at IS NOT NULL AND gone_at < ? ORDER BY gone_at LIMIT ?`
	eraseFile = `DELETE FROM file WHERE id = ? AND gone_at IS NOT NULL`

	isFile    = `SELECT EXISTS (SELECT 1 FROM file WHERE id = ? AND gone_at IS NULL)`
	countKeys = `SELECT count(*) FROM file_key WHERE file_id = ? AND peer <> ?`
	setKey    = `INSERT INTO file_key (file_id, peer, sealed, granted_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (file_id, peer) DO UPDATE SET sealed = excluded.sealed, granted_at = excluded.granted_at`
	sealedKey   = `SELECT sealed FROM file_key WHERE file_id = ? AND peer = ?`
	writeAccess = `INSERT INTO file_access (file_id, peer, name, accessed_at) VALUES (?, ?, ?, ?) ON CONFLICT (file_id, peer)
		DO UPDATE SET name = excluded.name, accessed_at = max(accessed_at, excluded.accessed_at)`
	trimAccesses = `DELETE FROM file_access WHERE file_id = ?1 AND peer IN
		(SELECT peer FROM file_access WHERE file_id = ?1 ORDER BY accessed_at DESC, peer LIMIT -1 OFFSET ?2)`
	fileAccesses = `SELECT file_id, peer, name, accessed_at FROM file_access WHERE file_id = ?
		ORDER BY accessed_at DESC, peer LIMIT ?`
)

// CreateFile implements [store.Files].
func (s *Store) CreateFile(ctx context.Context, f *store.File, keys []store.FileKey, room store.FileRoom) (id string, fresh bool, err error) {
	defer wrap(&err, "create file")
	err = s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, sameFile, f.MeshID, keyArg(sdk.Key(f.Request))).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := roomForFile(ctx, tx, f, room); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, insertFile, append(fileArgs(f), strings.ToLower(f.Name))...); err != nil {
			return err
		}
		for i := range keys {
			k := &keys[i]
			if _, err := tx.ExecContext(ctx, setKey, f.ID, k.Peer.String(), k.Sealed, k.GrantedAt.UnixMilli()); err != nil {
				return err
			}
		}
		id, fresh = f.ID, true
		return nil
	})
	if err != nil {
		return "", false, err
	}
	return id, fresh, nil
}

func roomForFile(ctx context.Context, tx *sql.Tx, f *store.File, room store.FileRoom) error {
	var mesh, member, meshRest, memberRest store.FileUse
	err := tx.QueryRowContext(ctx, fileUse, f.MeshID, f.MemberID).Scan(&mesh.Files, &mesh.Bytes, &mesh.Open,
		&member.Files, &member.Bytes, &member.Open)
	if err != nil {
		return err
	}
	err = tx.QueryRowContext(ctx, fileRest, f.MeshID, f.MemberID, f.CreatedAt.UnixMilli()).Scan(&meshRest.Open, &meshRest.Bytes,
		&memberRest.Open, &memberRest.Bytes)
	if err != nil {
		return err
	}
	return room.Fits(mesh.And(meshRest), member.And(memberRest), f.Size)
}

func fileArgs(f *store.File) []any {
	return []any{
		f.ID, f.MeshID, f.Name, f.Size, f.Received, f.MediaType, inJSON{&f.Tags}, f.Persistent, f.Encrypted, f.Target,
		f.MemberID, f.Author, f.CreatedAt.UnixMilli(), timeArg(f.ReadyAt), timeArg(f.ExpiresAt), timeArg(f.GoneAt), f.Hash,
		keyArg(sdk.Key(f.Digest)), keyArg(sdk.Key(f.Request)),
	}
}

func scanFile(row scanner) (*store.File, error) {
	f := new(store.File)
	err := row.Scan(&f.ID, &f.MeshID, &f.Name, &f.Size, &f.Received, &f.MediaType, inJSON{&f.Tags}, &f.Persistent, &f.Encrypted,
		&f.Target, &f.MemberID, &f.Author, (*millis)(&f.CreatedAt), (*millis)(&f.ReadyAt), (*millis)(&f.ExpiresAt),
		(*millis)(&f.GoneAt), &f.Hash, (*hash)(&f.Digest), (*hash)(&f.Request))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// File implements [store.Files].
func (s *Store) File(ctx context.Context, mesh, id string) (f *store.File, err error) {
	defer wrap(&err, "read file")
	return scanFile(s.read.QueryRowContext(ctx, fileByID, id, mesh))
}

// HoldUpload implements [store.Files].
func (s *Store) HoldUpload(ctx context.Context, id string, received int64, holder string, now, until time.Time) (err error) {
	defer wrap(&err, "hold upload")
	return s.updateLazily(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := changed(tx.ExecContext(ctx, holdUpload, id, received, holder, now.UnixMilli(), until.UnixMilli()))
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := tx.QueryRowContext(ctx, isOpen, id, received).Scan(new(string)); err != nil {
			return err
		}
		return store.ErrConflict
	})
}

// KeepUpload implements [store.Files].
func (s *Store) KeepUpload(ctx context.Context, id, holder string, until time.Time) (err error) {
	defer wrap(&err, "keep upload")
	return s.updateLazily(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, keepUpload, id, holder, timeArg(until))
		return err
	})
}

// UnrecordedFiles implements [store.Files].
func (s *Store) UnrecordedFiles(ctx context.Context, before time.Time, limit int) (list []*store.File, err error) {
	defer wrap(&err, "list unrecorded files")
	rows, err := s.read.QueryContext(ctx, unrecordedFiles, before.UnixMilli(), limit)
	return collect(rows, err, scanFile)
}

// FileRecorded implements [store.Files].
func (s *Store) FileRecorded(ctx context.Context, id string) (err error) {
	defer wrap(&err, "note record of file")
	return s.updateLazily(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, fileRecorded, id)
		return err
	})
}

// AddPiece implements [store.Files].
func (s *Store) AddPiece(ctx context.Context, f *store.File, p store.FilePiece, holder string) (err error) {
	defer wrap(&err, "add piece")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := changed(tx.ExecContext(ctx, moveFile, f.Received, f.Hash, keyArg(sdk.Key(f.Digest)), timeArg(f.ReadyAt),
			timeArg(f.ExpiresAt), f.ID, p.Start, holder))
		switch {
		case errors.Is(err, store.ErrNotFound):
			return store.ErrConflict
		case err != nil:
			return err
		}
		_, err = tx.ExecContext(ctx, insertPiece, f.ID, p.Start, p.Size, p.Object)
		return err
	})
}

// FilePieces implements [store.Files].
func (s *Store) FilePieces(ctx context.Context, id string) (list []store.FilePiece, err error) {
	defer wrap(&err, "list pieces")
	rows, err := s.read.QueryContext(ctx, pieces, id)
	return collect(rows, err, func(row scanner) (p store.FilePiece, err error) {
		err = row.Scan(&p.Start, &p.Size, &p.Object)
		return p, err
	})
}

// ListFiles implements [store.Files].
func (s *Store) ListFiles(ctx context.Context, mesh string, match store.FileMatch, limit int) (list []*store.File, err error) {
	defer wrap(&err, "list files")
	var targets any = "null"
	if match.Targets != nil {
		targets = texts(match.Targets)
	}
	rows, err := s.read.QueryContext(ctx, listFiles, mesh, strings.ToLower(match.Query), match.From, targets, match.Member,
		texts(match.Except), limit)
	return collect(rows, err, scanFile)
}

// CountFiles implements [store.Files].
func (s *Store) CountFiles(ctx context.Context, mesh string) (n int64, err error) {
	defer wrap(&err, "count files")
	err = s.read.QueryRowContext(ctx, countFiles, mesh).Scan(&n)
	return n, err
}

// DropFile implements [store.Files].
func (s *Store) DropFile(ctx context.Context, mesh, id string, at time.Time) (err error) {
	defer wrap(&err, "drop file")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := changed(tx.ExecContext(ctx, dropFile, at.UnixMilli(), id, mesh)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, dropKeys, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, dropAccesses, id)
		return err
	})
}

// ExpiredFiles implements [store.Files].
func (s *Store) ExpiredFiles(ctx context.Context, now time.Time, limit int) (list []*store.File, err error) {
	defer wrap(&err, "list expired files")
	rows, err := s.read.QueryContext(ctx, expiredFiles, now.UnixMilli(), limit)
	return collect(rows, err, scanFile)
}

// GoneFiles implements [store.Files].
func (s *Store) GoneFiles(ctx context.Context, before time.Time, limit int) (list []*store.File, err error) {
	defer wrap(&err, "list gone files")
	rows, err := s.read.QueryContext(ctx, goneFiles, before.UnixMilli(), limit)
	return collect(rows, err, scanFile)
}

// EraseFile implements [store.Files].
func (s *Store) EraseFile(ctx context.Context, id string) (err error) {
	defer wrap(&err, "erase file")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, eraseFile, id)
		return err
	})
}

// SetFileKey implements [store.Files].
func (s *Store) SetFileKey(ctx context.Context, k *store.FileKey, most int) (err error) {
	defer wrap(&err, "set file key")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var there bool
		var others int
		if err := tx.QueryRowContext(ctx, isFile, k.FileID).Scan(&there); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, countKeys, k.FileID, k.Peer.String()).Scan(&others); err != nil {
			return err
		}
		switch {
		case !there:
			return store.ErrNotFound
		case others >= most:
			return &store.FullError{Most: most}
		}
		_, err := tx.ExecContext(ctx, setKey, k.FileID, k.Peer.String(), k.Sealed, k.GrantedAt.UnixMilli())
		return err
	})
}

// SealedKey implements [store.Files].
func (s *Store) SealedKey(ctx context.Context, fileID string, peers ...sdk.Key) (sealed string, err error) {
	defer wrap(&err, "read sealed key")
	for _, peer := range peers {
		err = s.read.QueryRowContext(ctx, sealedKey, fileID, peer.String()).Scan(&sealed)
		if !errors.Is(err, sql.ErrNoRows) {
			return sealed, err
		}
	}
	return "", sql.ErrNoRows
}

// FileAccessed implements [store.Files].
func (s *Store) FileAccessed(ctx context.Context, a *store.FileAccess, keep int) (err error) {
	defer wrap(&err, "write access")
	return s.updateLazily(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var there bool
		if err := tx.QueryRowContext(ctx, isFile, a.FileID).Scan(&there); err != nil || !there {
			return err
		}
		if _, err := tx.ExecContext(ctx, writeAccess, a.FileID, a.Peer.String(), a.Name, a.At.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, trimAccesses, a.FileID, keep)
		return err
	})
}

// FileAccesses implements [store.Files].
func (s *Store) FileAccesses(ctx context.Context, fileID string, limit int) (list []*store.FileAccess, err error) {
	defer wrap(&err, "list accesses")
	rows, err := s.read.QueryContext(ctx, fileAccesses, fileID, limit)
	return collect(rows, err, func(row scanner) (*store.FileAccess, error) {
		a := new(store.FileAccess)
		err := row.Scan(&a.FileID, (*key)(&a.Peer), &a.Name, (*millis)(&a.At))
		return a, err
	})
}

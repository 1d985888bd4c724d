package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"github.com/claudemesh/broker/core/store"
)

const skillColumns = `mesh_id, name, member_id, author, created_at, updated_at, tags, description, instructions, manifest`

const (
	skillByName = `SELECT ` + skillColumns + ` FROM skill WHERE mesh_id = ? AND name = ?`
	findSkills  = `SELECT mesh_id, name, member_id, author, created_at, updated_at, tags, description, '', '' FROM skill
		WHERE mesh_id = ?1 AND (?2 = '' OR instr(folded, ?2) > 0) AND member_id NOT IN (SELECT value FROM json_each(?3))
		ORDER BY name LIMIT ?4`
	countSkills = `SELECT count(*), count(*) FILTER (WHERE member_id = ?2) FROM skill WHERE mesh_id = ?1`

	insertSkill = `INSERT INTO skill (` + skillColumns + `, folded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	changeSkill = `UPDATE skill SET member_id = ?3, author = ?4, updated_at = ?6, tags = ?7, description = ?8,
		instructions = ?9, manifest = ?10, folded = ?11 WHERE mesh_id = ?1 AND name = ?2 AND member_id = ?12`
	removeSkill = `DELETE FROM skill WHERE mesh_id = ? AND name = ? AND member_id = ?`
)

// Skill implements [store.Skills].
func (s *Store) Skill(ctx context.Context, mesh, name string) (sk *store.Skill, err error) {
	defer wrap(&err, "read skill")
	return scanSkill(s.read.QueryRowContext(ctx, skillByName, mesh, name))
}

// FindSkills implements [store.Skills].
func (s *Store) FindSkills(ctx context.Context, mesh, query string, except []string, limit int) (list []*store.Skill, err error) {
	defer wrap(&err, "find skills")
	rows, err := s.read.QueryContext(ctx, findSkills, mesh, strings.ToLower(query), texts(except), limit)
	return collect(rows, err, scanSkill)
}

// ShareSkill implements [store.Skills].
func (s *Store) ShareSkill(ctx context.Context, sk *store.Skill, over *string, room store.Room) (err error) {
	defer wrap(&err, "share skill")
	args := skillArgs(sk)
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if over != nil {
			return onlyOne(tx.ExecContext(ctx, changeSkill, append(args, *over)...))
		}
		var mesh, member int
		if err := tx.QueryRowContext(ctx, countSkills, sk.MeshID, sk.MemberID).Scan(&mesh, &member); err != nil {
			return err
		}
		if err := onlyOne(tx.ExecContext(ctx, insertSkill, args...)); err != nil {
			return err
		}
		return room.Fits(mesh, member)
	})
}

// RemoveSkill implements [store.Skills].
func (s *Store) RemoveSkill(ctx context.Context, mesh, name, over string) (err error) {
	defer wrap(&err, "remove skill")
	return s.update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return onlyOne(tx.ExecContext(ctx, removeSkill, mesh, name, over))
	})
}

func skillArgs(sk *store.Skill) []any {
	return []any{
		sk.MeshID, sk.Name, sk.MemberID, sk.Author, sk.CreatedAt.UnixMilli(), sk.UpdatedAt.UnixMilli(), inJSON{&sk.Tags},
		sk.Description, sk.Instructions, string(sk.Manifest), sk.Searched(),
	}
}

func scanSkill(row scanner) (*store.Skill, error) {
	sk, manifest := new(store.Skill), ""
	err := row.Scan(&sk.MeshID, &sk.Name, &sk.MemberID, &sk.Author, (*millis)(&sk.CreatedAt), (*millis)(&sk.UpdatedAt),
		inJSON{&sk.Tags}, &sk.Description, &sk.Instructions, &manifest)
	if err != nil {
		return nil, err
	}
	if manifest != "" {
		sk.Manifest = []byte(manifest)
	}
	return sk, nil
}

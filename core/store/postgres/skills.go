package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

const skillColumns = `mesh_id, name, member_id, author, created_at, updated_at, tags, description, instructions, manifest`

const (
	skillByName = `SELECT ` + skillColumns + ` FROM skill WHERE mesh_id = $1 AND name = $2`
	findSkills  = `SELECT mesh_id, name, member_id, author, created_at, updated_at, tags, description, '', '' FROM skill
		WHERE mesh_id = $1 AND ($2 = '' OR strpos(folded, $2) > 0) AND member_id <> ALL ($3::text[]) ORDER BY name LIMIT $4`

	// Who adds a skill waits for its turn, so that no two are the last that fits.
	skillTurn   = `SELECT pg_advisory_xact_lock($1)`
	countSkills = `SELECT count(*), count(*) FILTER (WHERE member_id = $2) FROM skill WHERE mesh_id = $1`

	insertSkill = `INSERT INTO skill (` + skillColumns + `, folded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT DO NOTHING`
	changeSkill = `UPDATE skill SET member_id = $3, author = $4, updated_at = $5, tags = $6, description = $7,
		instructions = $8, manifest = $9, folded = $10 WHERE mesh_id = $1 AND name = $2 AND member_id = $11`
	removeSkill = `DELETE FROM skill WHERE mesh_id = $1 AND name = $2 AND member_id = $3`
)

// Skill implements [store.Skills].
func (s *Store) Skill(ctx context.Context, mesh, name string) (sk *store.Skill, err error) {
	defer wrap(&err, "read skill")
	return one(ctx, s, scanSkill, skillByName, mesh, name)
}

// FindSkills implements [store.Skills].
func (s *Store) FindSkills(ctx context.Context, mesh, query string, except []string, limit int) (list []*store.Skill, err error) {
	defer wrap(&err, "find skills")
	return all(ctx, s, scanSkill, findSkills, mesh, strings.ToLower(query), texts(except), limit)
}

// ShareSkill implements [store.Skills].
func (s *Store) ShareSkill(ctx context.Context, sk *store.Skill, over *string, room store.Room) (err error) {
	defer wrap(&err, "share skill")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if over != nil {
			return onlyOne(tx.Exec(ctx, changeSkill, sk.MeshID, sk.Name, sk.MemberID, sk.Author, whole(sk.UpdatedAt),
				inJSON{&sk.Tags}, sk.Description, sk.Instructions, string(sk.Manifest), sk.Searched(), *over))
		}
		return addSkill(ctx, tx, sk, room)
	})
}

// addSkill writes a skill whose name is free, if there is room.
func addSkill(ctx context.Context, tx pgx.Tx, sk *store.Skill, room store.Room) error {
	if _, err := tx.Exec(ctx, skillTurn, lockKey("skills of "+sk.MeshID)); err != nil {
		return err
	}
	var mesh, member int
	if err := tx.QueryRow(ctx, countSkills, sk.MeshID, sk.MemberID).Scan(&mesh, &member); err != nil {
		return err
	}
	err := onlyOne(tx.Exec(ctx, insertSkill, sk.MeshID, sk.Name, sk.MemberID, sk.Author, whole(sk.CreatedAt),
		whole(sk.UpdatedAt), inJSON{&sk.Tags}, sk.Description, sk.Instructions, string(sk.Manifest), sk.Searched()))
	if err != nil {
		return err
	}
	return room.Fits(mesh, member)
}

// RemoveSkill implements [store.Skills].
func (s *Store) RemoveSkill(ctx context.Context, mesh, name, over string) (err error) {
	defer wrap(&err, "remove skill")
	return s.update(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return onlyOne(tx.Exec(ctx, removeSkill, mesh, name, over))
	})
}

func scanSkill(row scanner) (*store.Skill, error) {
	sk := new(store.Skill)
	err := row.Scan(&sk.MeshID, &sk.Name, &sk.MemberID, &sk.Author, (*stamp)(&sk.CreatedAt), (*stamp)(&sk.UpdatedAt),
		inJSON{&sk.Tags}, &sk.Description, &sk.Instructions, (*opaqueText)(&sk.Manifest))
	if err != nil {
		return nil, err
	}
	return sk, nil
}

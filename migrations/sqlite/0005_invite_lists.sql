-- +goose Up

-- The invites of a mesh are read without those of others, and those that are long over are deleted. used_at is when an
-- invite was last used; a program that does not know it leaves it as it was.

ALTER TABLE invite ADD COLUMN used_at INTEGER;

CREATE INDEX invite_by_mesh ON invite (mesh_id, created_at, id);

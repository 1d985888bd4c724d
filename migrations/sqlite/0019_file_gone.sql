-- +goose Up

-- How many rows of a member's are left of files that are gone.
CREATE INDEX file_left ON file (mesh_id, member_id) WHERE gone_at IS NOT NULL;

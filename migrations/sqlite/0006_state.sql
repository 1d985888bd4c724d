-- +goose Up

-- The values that the members of a mesh share, by their key. The last one to set a key wins.
CREATE TABLE shared_state (
    mesh_id    TEXT    NOT NULL REFERENCES mesh (id),
    key        TEXT    NOT NULL,
    member_id  TEXT    NOT NULL,          -- who set it, '' when that is not known
    author     TEXT    NOT NULL,          -- its name at that time
    updated_at INTEGER NOT NULL,
    value      TEXT    NOT NULL,          -- JSON, but for spaces as it came
    PRIMARY KEY (mesh_id, key)
) STRICT;

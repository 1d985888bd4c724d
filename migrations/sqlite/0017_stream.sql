-- +goose Up

-- The streams of a mesh that somebody has given a name. What is published is nowhere.
CREATE TABLE stream (
    mesh_id    TEXT    NOT NULL REFERENCES mesh (id),
    name       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    member_id  TEXT    NOT NULL,          -- who created it, '' when that is not known
    author     TEXT    NOT NULL,          -- its name at that time
    created_at INTEGER NOT NULL,
    PRIMARY KEY (mesh_id, name)
) STRICT;

CREATE INDEX stream_by_time ON stream (mesh_id, created_at, name);

-- What a session has taken up and need not take up again when it comes back, such as its subscriptions.
ALTER TABLE peer_state ADD COLUMN kept TEXT NOT NULL DEFAULT '{}'; -- JSON

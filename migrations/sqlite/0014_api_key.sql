-- +goose Up

-- What lets programs act over HTTP for the member that made it.
CREATE TABLE api_key (
    id           TEXT    NOT NULL PRIMARY KEY,
    mesh_id      TEXT    NOT NULL REFERENCES mesh (id),
    member_id    TEXT    NOT NULL REFERENCES member (id),
    label        TEXT    NOT NULL,
    prefix       TEXT    NOT NULL,        -- how the secret begins
    hash         TEXT    NOT NULL UNIQUE, -- SHA-256 of the secret, as 64 lower-case hex digits
    capabilities TEXT    NOT NULL,        -- JSON: send, read, state_write, admin
    topics       TEXT    NOT NULL,        -- JSON: ids or names of topics; [] for all
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;

CREATE INDEX api_key_by_time ON api_key (mesh_id, created_at, id);

CREATE INDEX api_key_by_member ON api_key (member_id, created_at, id);

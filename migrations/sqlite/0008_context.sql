-- +goose Up

-- What members say that they know.
CREATE TABLE context (
    mesh_id      TEXT    NOT NULL REFERENCES mesh (id),
    member_id    TEXT    NOT NULL,
    id           TEXT    NOT NULL,               -- of the first one that the member shared
    name         TEXT    NOT NULL,               -- of the member at that time
    summary      TEXT    NOT NULL,
    folded       TEXT    NOT NULL,               -- the summary in lower case, for searches
    files_read   TEXT    NOT NULL,               -- JSON: texts; the next two too
    key_findings TEXT    NOT NULL,
    tags         TEXT    NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (mesh_id, member_id)
) STRICT;

CREATE INDEX context_by_time ON context (mesh_id, updated_at, member_id);

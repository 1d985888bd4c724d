-- +goose Up

-- Notes that members leave for the others of their mesh.
CREATE TABLE memory (
    n          INTEGER NOT NULL PRIMARY KEY,   -- its row in memory_words
    id         TEXT    NOT NULL UNIQUE,
    mesh_id    TEXT    NOT NULL REFERENCES mesh (id),
    content    TEXT    NOT NULL,
    tags       TEXT    NOT NULL,               -- JSON: texts
    digest     TEXT    NOT NULL,               -- SHA-256 of content and tags, as 64 lower-case hex digits
    member_id  TEXT    NOT NULL,               -- who wrote it, '' when that is not known
    author     TEXT    NOT NULL,               -- its name at that time
    created_at INTEGER NOT NULL
) STRICT;

-- Nobody leaves the same note twice. Counts by mesh and by member read this and no row.
CREATE UNIQUE INDEX memory_once ON memory (mesh_id, member_id, digest);

-- The stems of all words. The mesh is one of them, so that a search never walks over what others wrote.
CREATE VIRTUAL TABLE memory_words USING fts5 (
    mesh, content, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);

-- What was forgotten, so that an import does not bring it back.
CREATE TABLE memory_forgotten (
    id           TEXT    NOT NULL PRIMARY KEY,
    mesh_id      TEXT    NOT NULL REFERENCES mesh (id),
    forgotten_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Up

-- Files that members share, those that are being uploaded and those that are being deleted among them. Their
-- bytes are elsewhere: a row is there before the first of them, and until the last of them is gone.
CREATE TABLE file (
    id          TEXT    NOT NULL PRIMARY KEY,
    mesh_id     TEXT    NOT NULL REFERENCES mesh (id),
    name        TEXT    NOT NULL,
    folded      TEXT    NOT NULL,            -- the name in lower case, for searches
    size        INTEGER NOT NULL,            -- bytes that there are, or will be
    received    INTEGER NOT NULL,            -- bytes that have arrived
    media_type  TEXT    NOT NULL,
    tags        TEXT    NOT NULL,            -- JSON: texts
    persistent  INTEGER NOT NULL,
    encrypted   INTEGER NOT NULL,
    target      TEXT    NOT NULL,            -- whom it is for: '' or * for the mesh, a key, or @ and a group
    member_id   TEXT    NOT NULL,            -- who uploads it
    author      TEXT    NOT NULL,            -- its name at that time
    created_at  INTEGER NOT NULL,
    ready_at    INTEGER,                     -- when the last byte arrived
    expires_at  INTEGER,                     -- when it is deleted by itself
    gone_at     INTEGER,                     -- when it was deleted
    hash        BLOB,                        -- SHA-256 so far, as it marshals itself; NULL when it is ready
    digest      TEXT,                        -- SHA-256 of the bytes, as 64 lower-case hex digits, when it is ready
    request     TEXT                         -- SHA-256 of the request that made it, as 64 lower-case hex digits
) STRICT;

CREATE INDEX file_by_time ON file (mesh_id, created_at, id) WHERE gone_at IS NULL;

-- What a mesh and a member have: sums read this and no row.
CREATE INDEX file_use ON file (mesh_id, member_id, size, ready_at) WHERE gone_at IS NULL;

-- What is to be deleted.
CREATE INDEX file_gone ON file (gone_at) WHERE gone_at IS NOT NULL;
CREATE INDEX file_expires ON file (expires_at) WHERE gone_at IS NULL AND expires_at IS NOT NULL;

-- A request that is repeated makes no second file.
CREATE UNIQUE INDEX file_by_request ON file (mesh_id, request) WHERE gone_at IS NULL AND ready_at IS NULL;

-- The bytes of a file, one piece after the other.
CREATE TABLE file_piece (
    file_id TEXT    NOT NULL REFERENCES file (id) ON DELETE CASCADE,
    start   INTEGER NOT NULL,                -- its first byte's place in the file
    size    INTEGER NOT NULL,
    object  TEXT    NOT NULL,                -- where the bytes are
    PRIMARY KEY (file_id, start)
) STRICT, WITHOUT ROWID;

-- The key of an encrypted file, sealed to a peer.
CREATE TABLE file_key (
    file_id    TEXT    NOT NULL REFERENCES file (id) ON DELETE CASCADE,
    peer       TEXT    NOT NULL,             -- key of a member or a session
    sealed     TEXT    NOT NULL,
    granted_at INTEGER NOT NULL,
    PRIMARY KEY (file_id, peer)
) STRICT, WITHOUT ROWID;

-- Who got a file, and when last.
CREATE TABLE file_access (
    file_id     TEXT    NOT NULL REFERENCES file (id) ON DELETE CASCADE,
    peer        TEXT    NOT NULL,            -- key of the session, else of the member
    name        TEXT    NOT NULL,            -- the member's name at that time
    accessed_at INTEGER NOT NULL,
    PRIMARY KEY (file_id, peer)
) STRICT, WITHOUT ROWID;

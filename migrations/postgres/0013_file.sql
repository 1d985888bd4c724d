-- +goose Up

-- Files that members share, those that are being uploaded and those that are being deleted among them. Their
-- bytes are elsewhere: a row is there before the first of them, and until the last of them is gone.
CREATE TABLE broker.file (
    id          text COLLATE "C" PRIMARY KEY,
    mesh_id     text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    name        text             NOT NULL,
    folded      text             NOT NULL,   -- the name in lower case, for searches
    size        bigint           NOT NULL,   -- bytes that there are, or will be
    received    bigint           NOT NULL,   -- bytes that have arrived
    media_type  text             NOT NULL,
    tags        text             NOT NULL,   -- JSON: texts
    persistent  boolean          NOT NULL,
    encrypted   boolean          NOT NULL,
    target      text COLLATE "C" NOT NULL,   -- whom it is for: '' or * for the mesh, a key, or @ and a group
    member_id   text COLLATE "C" NOT NULL,   -- who uploads it
    author      text             NOT NULL,   -- its name at that time
    created_at  timestamptz      NOT NULL,
    ready_at    timestamptz,                 -- when the last byte arrived
    expires_at  timestamptz,                 -- when it is deleted by itself
    gone_at     timestamptz,                 -- when it was deleted
    hash        bytea,                       -- SHA-256 so far, as it marshals itself; NULL when it is ready
    digest      bytea,                       -- SHA-256 of the bytes, when it is ready
    request     bytea                        -- SHA-256 of the request that made it
);

CREATE INDEX file_by_time ON broker.file (mesh_id, created_at, id) WHERE gone_at IS NULL;

-- What a mesh and a member have: sums read this and no row.
CREATE INDEX file_use ON broker.file (mesh_id, member_id, size, ready_at) WHERE gone_at IS NULL;

-- What is to be deleted.
CREATE INDEX file_gone ON broker.file (gone_at) WHERE gone_at IS NOT NULL;
CREATE INDEX file_expires ON broker.file (expires_at) WHERE gone_at IS NULL AND expires_at IS NOT NULL;

-- A request that is repeated makes no second file.
CREATE UNIQUE INDEX file_by_request ON broker.file (mesh_id, request) WHERE gone_at IS NULL AND ready_at IS NULL;

-- The bytes of a file, one piece after the other.
CREATE TABLE broker.file_piece (
    file_id text COLLATE "C" NOT NULL REFERENCES broker.file (id) ON DELETE CASCADE,
    start   bigint           NOT NULL,       -- its first byte's place in the file
    size    bigint           NOT NULL,
    object  text COLLATE "C" NOT NULL,       -- where the bytes are
    PRIMARY KEY (file_id, start)
);

-- The key of an encrypted file, sealed to a peer.
CREATE TABLE broker.file_key (
    file_id    text COLLATE "C" NOT NULL REFERENCES broker.file (id) ON DELETE CASCADE,
    peer       bytea            NOT NULL,    -- key of a member or a session
    sealed     text             NOT NULL,
    granted_at timestamptz      NOT NULL,
    PRIMARY KEY (file_id, peer)
);

-- Who got a file, and when last.
CREATE TABLE broker.file_access (
    file_id     text COLLATE "C" NOT NULL REFERENCES broker.file (id) ON DELETE CASCADE,
    peer        bytea            NOT NULL,   -- key of the session, else of the member
    name        text             NOT NULL,   -- the member's name at that time
    accessed_at timestamptz      NOT NULL,
    PRIMARY KEY (file_id, peer)
);

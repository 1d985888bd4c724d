-- +goose Up
--
-- Everything is in the schema "broker", which the program makes before it applies this file; the database may hold other
-- schemas. Conventions of every table:
--   ids         text of the broker's own making, COLLATE "C": compared byte by byte, as the program does
--   keys        ed25519 public keys as 32 bytes
--   times       timestamptz, written by the program in whole milliseconds; NULL where it has not happened
--   JSON        text, written and read as a whole: bit by bit what was written; nothing searches inside it
--   opaque      bytea, what peers sealed: any bytes at all
-- Text cannot hold a NUL byte. JSON texts escape it.
--
-- The tables that only the group commit writes (session_key, presence, peer_state, message, delivery, sent, audit_log,
-- audit_head) have no foreign keys: one row that points nowhere must not fail the transaction of everybody who waits
-- with it.

CREATE TABLE broker.mesh (
    id           text COLLATE "C" PRIMARY KEY,
    slug         text COLLATE "C" NOT NULL UNIQUE, -- archived meshes keep theirs
    name         text             NOT NULL,
    owner_key    bytea            NOT NULL,
    owner_secret text             NOT NULL,        -- sealed with the operator's key
    root_key     text             NOT NULL,        -- sealed with the operator's key
    policy       text             NOT NULL,        -- JSON: which profile fields members may edit
    created_at   timestamptz      NOT NULL,
    archived_at  timestamptz
);

-- One key has at most one row in a mesh. Revoked members keep theirs, so that their key cannot be enrolled again.
CREATE TABLE broker.member (
    id             text COLLATE "C" PRIMARY KEY,
    mesh_id        text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    pubkey         bytea            NOT NULL,
    display_name   text             NOT NULL,
    role           text             NOT NULL,      -- admin or member
    role_tag       text             NOT NULL,      -- free text, '' when unset
    default_groups text             NOT NULL,      -- JSON: [{"name", "role"}]
    message_mode   text             NOT NULL,
    grants         text             NOT NULL,      -- JSON: sender key → capabilities; no entry means the defaults
    joined_at      timestamptz      NOT NULL,
    revoked_at     timestamptz,
    UNIQUE (mesh_id, pubkey)
);

CREATE TABLE broker.invite (
    id         text COLLATE "C" PRIMARY KEY,
    mesh_id    text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    token      text COLLATE "C" NOT NULL,          -- exactly as handed out
    code       text COLLATE "C" UNIQUE,            -- NULL when the invite has no short code
    max_uses   bigint           NOT NULL,
    used_count bigint           NOT NULL,
    role       text             NOT NULL,
    preset     text             NOT NULL,          -- JSON: what the invite decides about the member
    expires_at timestamptz      NOT NULL,
    created_at timestamptz      NOT NULL,
    revoked_at timestamptz
);

-- By a hash: a token has no bounded length, a row of a B-tree has.
CREATE UNIQUE INDEX invite_by_token ON broker.invite (md5(token));

-- A session key belongs for good to the member that used it first.
CREATE TABLE broker.session_key (
    mesh_id    text COLLATE "C" NOT NULL,
    pubkey     bytea            NOT NULL,
    member_id  text COLLATE "C" NOT NULL,
    claimed_at timestamptz      NOT NULL,
    PRIMARY KEY (mesh_id, pubkey)
);

-- Rows are updated with each change of a session. The free part of each page lets a new version stay beside the old one,
-- and then no index is touched.
CREATE TABLE broker.presence (
    id              text COLLATE "C" PRIMARY KEY,
    mesh_id         text COLLATE "C" NOT NULL,
    member_id       text COLLATE "C" NOT NULL,
    session_key     bytea,                         -- NULL for a session without a key of its own
    session_id      text             NOT NULL,     -- the client's name for its launch
    display_name    text             NOT NULL,
    role            text             NOT NULL,     -- control-plane or session
    pid             bigint           NOT NULL,
    cwd             text             NOT NULL,
    connected_at    timestamptz      NOT NULL,
    disconnected_at timestamptz,
    node            text COLLATE "C" NOT NULL,     -- that the session is connected to, '' when unknown
    version         bigint           NOT NULL,     -- rises with each change; the higher one stays
    details         text                           -- JSON: the session as other nodes show it
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- The open ones, which is what nodes compare their directories with, and what a crash leaves behind.
CREATE INDEX presence_open ON broker.presence (node) WHERE disconnected_at IS NULL;
-- The old ones, which are pruned.
CREATE INDEX presence_by_end ON broker.presence (disconnected_at) WHERE disconnected_at IS NOT NULL;

-- What a session gets back when it returns. The row with the empty session_key is the member's own, for sessions that
-- bring a new key.
CREATE TABLE broker.peer_state (
    mesh_id           text COLLATE "C" NOT NULL,
    member_id         text COLLATE "C" NOT NULL,
    session_key       bytea            NOT NULL,
    groups            text             NOT NULL,   -- JSON: [{"name", "role"}]
    profile           text             NOT NULL,   -- JSON: a missing field was never set
    visible           boolean          NOT NULL,
    summary           text             NOT NULL,
    status            text             NOT NULL,
    status_source     text             NOT NULL,
    status_updated_at timestamptz,
    stats             text             NOT NULL,   -- JSON: the counters that the session reports
    last_seen_at      timestamptz,
    PRIMARY KEY (mesh_id, member_id, session_key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- An accepted envelope, stored once whatever the number of its recipients. Rows are inserted, read, deleted and never
-- updated.
CREATE TABLE broker.message (
    seq               bigint           PRIMARY KEY, -- microseconds at acceptance x 1024 + the slot of the node, strictly increasing
    id                text COLLATE "C" NOT NULL,    -- on the wire
    mesh_id           text COLLATE "C" NOT NULL,
    sender_member_id  text COLLATE "C" NOT NULL,
    sender_key        bytea            NOT NULL,
    sender_session    bytea,
    sender_name       text             NOT NULL,
    target_spec       text             NOT NULL,
    priority          smallint         NOT NULL,    -- 0 now, 1 next, 2 low
    nonce             bytea            NOT NULL,    -- opaque, like the ciphertext
    ciphertext        bytea            NOT NULL,
    client_message_id text,
    fingerprint       bytea,                        -- opaque
    reply_to          text,
    trace             text,                         -- W3C traceparent
    created_at        timestamptz      NOT NULL,
    expires_at        timestamptz      NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- Sealed bytes do not get smaller: the attempt would be wasted on every large message.
ALTER TABLE broker.message ALTER COLUMN ciphertext SET STORAGE EXTERNAL;

-- message_status asks by id or by the first characters of it: a range of this index.
CREATE UNIQUE INDEX message_by_id ON broker.message (mesh_id, id);

-- One recipient's claim on a message. It waits while both settled_at and expired_at are NULL. mesh_id, priority and
-- expires_at repeat the message's, so that finding what waits reads no message.
--
-- Every row is updated once, soon after it came, and that update leaves an entry of a dead row in both indexes of what
-- waits. Vacuum takes them out; it has to come often, and by a number of rows rather than by a share of the table, so
-- that a drain does not wade through them.
CREATE TABLE broker.delivery (
    seq        bigint           NOT NULL,           -- of its message
    recipient  bytea            NOT NULL,           -- session key or member key that the message is addressed to
    mesh_id    text COLLATE "C" NOT NULL,
    member_id  text COLLATE "C" NOT NULL,           -- the member behind recipient
    priority   smallint         NOT NULL,
    expires_at timestamptz      NOT NULL,
    settled_at timestamptz,                         -- confirmed by the recipient
    expired_at timestamptz,                         -- given up
    PRIMARY KEY (seq, recipient)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.05);

-- What waits for a key, in the order in which it is delivered. Settled rows leave the index, so it stays as small as
-- the backlog.
CREATE INDEX delivery_pending ON broker.delivery (mesh_id, recipient, priority, seq) INCLUDE (expires_at)
    WHERE settled_at IS NULL AND expired_at IS NULL;

-- What waits, by the time at which it is given up; also the smallest index that counts what waits. Entries come in
-- rising order, so it grows at its end. The test of seq, which is always true, keeps the index from queries that do not
-- make it: when the table was last analyzed nothing may have waited, the two indexes then cost the same, and a drain
-- that takes this one reads the whole backlog.
CREATE INDEX delivery_waiting ON broker.delivery (expires_at, seq)
    WHERE settled_at IS NULL AND expired_at IS NULL AND seq > 0;

-- Which client_message_id became which message, also for messages that were confirmed before they needed a row.
CREATE TABLE broker.sent (
    seq               bigint           PRIMARY KEY, -- of the message; tells the age
    mesh_id           text COLLATE "C" NOT NULL,
    member_id         text COLLATE "C" NOT NULL,
    client_message_id text COLLATE "C" NOT NULL,
    message_id        text COLLATE "C" NOT NULL,
    fingerprint       bytea,                        -- opaque; compared when the id repeats
    UNIQUE (mesh_id, member_id, client_message_id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- The highest seq that pruning has deleted: a broker that starts on an emptied queue must not count from below it.
CREATE TABLE broker.queue_mark (
    only_row smallint PRIMARY KEY CHECK (only_row = 1),
    last_seq bigint   NOT NULL
);

INSERT INTO broker.queue_mark (only_row, last_seq) VALUES (1, 0);

-- One hash chain per mesh: hash covers prev_hash, mesh_id, event_type, actor_member_id, payload and created_at.
CREATE TABLE broker.audit_log (
    mesh_id         text COLLATE "C" NOT NULL,
    id              bigint           NOT NULL,      -- counts up in its mesh
    event_type      text             NOT NULL,
    actor_member_id text,                           -- NULL when the broker itself acted
    actor_name      text,                           -- not hashed
    payload         text             NOT NULL,      -- canonical JSON, hashed as it is
    created_at      timestamptz      NOT NULL,
    prev_hash       text             NOT NULL,
    hash            text             NOT NULL,
    PRIMARY KEY (mesh_id, id)
);

-- The end of each chain, kept apart from the log: a log whose last rows were removed no longer agrees with it. Whoever
-- appends holds the row locked until the transaction ends, so that of several processes one at a time continues a
-- chain. Each commit updates it: most of each page is free, so that no index is touched.
CREATE TABLE broker.audit_head (
    mesh_id text COLLATE "C" PRIMARY KEY,
    hash    text             NOT NULL,              -- of the last entry
    count   bigint           NOT NULL,              -- entries ever appended
    last_id bigint           NOT NULL
) WITH (fillfactor = 25, autovacuum_vacuum_scale_factor = 0.05);

-- The broker processes that share this database. A row is a lease: it holds while expires_at is ahead of the database's
-- clock.
CREATE TABLE broker.node (
    id         text COLLATE "C" PRIMARY KEY,
    slot       smallint         NOT NULL UNIQUE,
    host       text             NOT NULL,
    version    text             NOT NULL,           -- of the program
    started_at timestamptz      NOT NULL,
    expires_at timestamptz      NOT NULL
) WITH (fillfactor = 25);

-- What nodes have to tell each other and must not lose. Ids become visible in their order.
CREATE TABLE broker.signal (
    id      bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    node    text COLLATE "C" NOT NULL,              -- that it is for, '' for all
    kind    text             NOT NULL,
    payload text             NOT NULL,              -- JSON
    at      timestamptz      NOT NULL
);

CREATE INDEX signal_by_time ON broker.signal (at);

-- Tokens that are good once. A crash of the database may empty it.
CREATE UNLOGGED TABLE broker.used_token (
    token bytea       PRIMARY KEY,
    until timestamptz NOT NULL                      -- it may be forgotten then
);

CREATE INDEX used_token_by_end ON broker.used_token (until);

-- +goose Up
--
-- Conventions of every table:
--   ids         text of the broker's own making
--   keys        ed25519 public keys as 64 lower-case hex digits
--   times       INTEGER, milliseconds since 1970 in UTC; NULL where it has not happened
--   JSON        TEXT, written and read as a whole; nothing searches inside it
--
-- The tables that only the group commit writes (session_key, presence, peer_state, message, delivery, sent, audit_log,
-- audit_head) have no foreign keys: one row that points nowhere must not fail the transaction of everybody who waits
-- with it.

CREATE TABLE mesh (
    id           TEXT    NOT NULL PRIMARY KEY,
    slug         TEXT    NOT NULL UNIQUE,        -- archived meshes keep theirs
    name         TEXT    NOT NULL,
    owner_key    TEXT    NOT NULL,
    owner_secret TEXT    NOT NULL,               -- sealed with the operator's key
    root_key     TEXT    NOT NULL,               -- sealed with the operator's key
    policy       TEXT    NOT NULL,               -- JSON: which profile fields members may edit
    created_at   INTEGER NOT NULL,
    archived_at  INTEGER
) STRICT, WITHOUT ROWID;

-- One key has at most one row in a mesh. Revoked members keep theirs, so that their key cannot be enrolled again.
CREATE TABLE member (
    id             TEXT    NOT NULL PRIMARY KEY,
    mesh_id        TEXT    NOT NULL REFERENCES mesh (id),
    pubkey         TEXT    NOT NULL,
    display_name   TEXT    NOT NULL,
    role           TEXT    NOT NULL,             -- admin or member
    role_tag       TEXT    NOT NULL,             -- free text, '' when unset
    default_groups TEXT    NOT NULL,             -- JSON: [{"name", "role"}]
    message_mode   TEXT    NOT NULL,
    grants         TEXT    NOT NULL,             -- JSON: sender key → capabilities; no entry means the defaults
    joined_at      INTEGER NOT NULL,
    revoked_at     INTEGER,
    UNIQUE (mesh_id, pubkey)
) STRICT, WITHOUT ROWID;

CREATE TABLE invite (
    id         TEXT    NOT NULL PRIMARY KEY,
    mesh_id    TEXT    NOT NULL REFERENCES mesh (id),
    token      TEXT    NOT NULL UNIQUE,          -- exactly as handed out
    code       TEXT    UNIQUE,                   -- NULL when the invite has no short code
    max_uses   INTEGER NOT NULL,
    used_count INTEGER NOT NULL,
    role       TEXT    NOT NULL,
    preset     TEXT    NOT NULL,                 -- JSON: what the invite decides about the member
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- A session key belongs for good to the member that used it first.
CREATE TABLE session_key (
    mesh_id    TEXT    NOT NULL,
    pubkey     TEXT    NOT NULL,
    member_id  TEXT    NOT NULL,
    claimed_at INTEGER NOT NULL,
    PRIMARY KEY (mesh_id, pubkey)
) STRICT, WITHOUT ROWID;

CREATE TABLE presence (
    id              TEXT    NOT NULL PRIMARY KEY,
    mesh_id         TEXT    NOT NULL,
    member_id       TEXT    NOT NULL,
    session_key     TEXT,                        -- NULL for a session without a key of its own
    session_id      TEXT    NOT NULL,            -- the client's name for its launch
    display_name    TEXT    NOT NULL,
    role            TEXT    NOT NULL,            -- control-plane or session
    pid             INTEGER NOT NULL,
    cwd             TEXT    NOT NULL,
    connected_at    INTEGER NOT NULL,
    disconnected_at INTEGER
) STRICT, WITHOUT ROWID;

-- Finds the open ones, which a crash left behind (NULL sorts first), and the old ones, which are pruned.
CREATE INDEX presence_by_end ON presence (disconnected_at);

-- What a session gets back when it returns. The row with session_key '' is the member's own, for sessions that bring a
-- new key.
CREATE TABLE peer_state (
    mesh_id           TEXT    NOT NULL,
    member_id         TEXT    NOT NULL,
    session_key       TEXT    NOT NULL,
    groups            TEXT    NOT NULL,          -- JSON: [{"name", "role"}]
    profile           TEXT    NOT NULL,          -- JSON: a missing field was never set
    visible           INTEGER NOT NULL,          -- 0 or 1
    summary           TEXT    NOT NULL,
    status            TEXT    NOT NULL,
    status_source     TEXT    NOT NULL,
    status_updated_at INTEGER,
    stats             TEXT    NOT NULL,          -- JSON: the counters that the session reports
    last_seen_at      INTEGER,
    PRIMARY KEY (mesh_id, member_id, session_key)
) STRICT, WITHOUT ROWID;

-- An accepted envelope, stored once whatever the number of its recipients.
CREATE TABLE message (
    seq               INTEGER PRIMARY KEY,       -- microseconds at acceptance x 1024 + the slot of the node, strictly increasing
    id                TEXT    NOT NULL,          -- on the wire
    mesh_id           TEXT    NOT NULL,
    sender_member_id  TEXT    NOT NULL,
    sender_key        TEXT    NOT NULL,
    sender_session    TEXT,
    sender_name       TEXT    NOT NULL,
    target_spec       TEXT    NOT NULL,
    priority          INTEGER NOT NULL,          -- 0 now, 1 next, 2 low
    nonce             TEXT    NOT NULL,          -- opaque, like the ciphertext
    ciphertext        TEXT    NOT NULL,
    client_message_id TEXT,
    fingerprint       TEXT,
    reply_to          TEXT,
    trace             TEXT,                      -- W3C traceparent
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL
) STRICT;

-- message_status asks by id or by the first characters of it: a range of this index.
CREATE UNIQUE INDEX message_by_id ON message (mesh_id, id);

-- One recipient's claim on a message. It waits while both settled_at and expired_at are NULL. mesh_id, priority and
-- expires_at repeat the message's, so that finding what waits reads no message.
CREATE TABLE delivery (
    seq        INTEGER NOT NULL,                 -- of its message
    recipient  TEXT    NOT NULL,                 -- session key or member key that the message is addressed to
    mesh_id    TEXT    NOT NULL,
    member_id  TEXT    NOT NULL,                 -- the member behind recipient
    priority   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    settled_at INTEGER,                          -- confirmed by the recipient
    expired_at INTEGER,                          -- given up
    PRIMARY KEY (seq, recipient)
) STRICT, WITHOUT ROWID;

-- What waits for a key, in the order in which it is delivered. Settled rows leave the index, so it stays as small as
-- the backlog: the sweep that looks for expired rows walks it whole. The last three columns are there so that it needs
-- no look at the table.
CREATE INDEX delivery_pending ON delivery (mesh_id, recipient, priority, seq, expires_at, settled_at, expired_at)
    WHERE settled_at IS NULL AND expired_at IS NULL;

-- Which client_message_id became which message, also for messages that were confirmed before they needed a row.
CREATE TABLE sent (
    seq               INTEGER PRIMARY KEY,       -- of the message; tells the age
    mesh_id           TEXT    NOT NULL,
    member_id         TEXT    NOT NULL,
    client_message_id TEXT    NOT NULL,
    message_id        TEXT    NOT NULL,
    fingerprint       TEXT,                      -- opaque; compared when the id repeats
    UNIQUE (mesh_id, member_id, client_message_id)
) STRICT;

-- The highest seq that pruning has deleted: a broker that starts on an emptied queue must not count from below it.
CREATE TABLE queue_mark (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    last_seq INTEGER NOT NULL
) STRICT;

INSERT INTO queue_mark (only_row, last_seq) VALUES (1, 0);

-- One hash chain per mesh: hash covers prev_hash, mesh_id, event_type, actor_member_id, payload and created_at.
CREATE TABLE audit_log (
    mesh_id         TEXT    NOT NULL,
    id              INTEGER NOT NULL,            -- counts up in its mesh
    event_type      TEXT    NOT NULL,
    actor_member_id TEXT,                        -- NULL when the broker itself acted
    actor_name      TEXT,                        -- not hashed
    payload         TEXT    NOT NULL,            -- canonical JSON
    created_at      INTEGER NOT NULL,
    prev_hash       TEXT    NOT NULL,
    hash            TEXT    NOT NULL,
    PRIMARY KEY (mesh_id, id)
) STRICT, WITHOUT ROWID;

-- The end of each chain, kept apart from the log: a log whose last rows were removed no longer agrees with it.
CREATE TABLE audit_head (
    mesh_id TEXT    NOT NULL PRIMARY KEY,
    hash    TEXT    NOT NULL,                    -- of the last entry
    count   INTEGER NOT NULL,                    -- entries ever appended
    last_id INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

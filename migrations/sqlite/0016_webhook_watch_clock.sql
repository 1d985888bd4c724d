-- +goose Up

-- Doors by which the world outside sends messages into a mesh. Of a secret there is only its SHA-256.
CREATE TABLE webhook (
    id          TEXT    NOT NULL PRIMARY KEY,
    mesh_id     TEXT    NOT NULL REFERENCES mesh (id),
    name        TEXT    NOT NULL,
    member_id   TEXT    NOT NULL,          -- who made it, and who its messages are from
    author      TEXT    NOT NULL,          -- its name at that time
    target      TEXT    NOT NULL,          -- whom messages are for, as in a send
    signature   TEXT    NOT NULL,          -- what requests are signed over: '', body or timed
    signing_key TEXT    NOT NULL,          -- sealed with the operator's key, '' without a signature
    created_at  INTEGER NOT NULL,
    secret      TEXT    NOT NULL,          -- SHA-256
    old_secret  TEXT,                           -- the one before, good until old_until
    old_until   INTEGER,
    UNIQUE (mesh_id, name)
) STRICT;

CREATE UNIQUE INDEX webhook_by_secret ON webhook (secret);
CREATE UNIQUE INDEX webhook_by_old_secret ON webhook (old_secret) WHERE old_secret IS NOT NULL;

-- URLs that the broker looks at for members.
CREATE TABLE watch (
    id         TEXT    NOT NULL PRIMARY KEY,
    mesh_id    TEXT    NOT NULL REFERENCES mesh (id),
    member_id  TEXT    NOT NULL,           -- who wants to know
    request    TEXT    NOT NULL,           -- SHA-256 of what was asked for
    url        TEXT    NOT NULL,
    mode       TEXT    NOT NULL,           -- hash, json or status
    extract    TEXT    NOT NULL,           -- '' for all
    notify_on  TEXT    NOT NULL,
    headers    TEXT    NOT NULL,           -- JSON, sealed where the broker has a key
    label      TEXT    NOT NULL,
    seconds    INTEGER NOT NULL,           -- from one look to the next
    created_at INTEGER NOT NULL,
    value      TEXT    NOT NULL,           -- what was seen last, '' before the first look
    checked_at INTEGER,                            -- the last look
    failures   INTEGER NOT NULL,           -- in a row
    failure    TEXT    NOT NULL,           -- of the last look, '' when it went well
    next_at    INTEGER NOT NULL,           -- the next look
    UNIQUE (mesh_id, member_id, request)
) STRICT;

CREATE INDEX watch_due ON watch (next_at);

-- The simulated time of meshes. It is counted from a moment at which it was known, and nothing is written as it goes on.
CREATE TABLE mesh_clock (
    mesh_id    TEXT    NOT NULL PRIMARY KEY REFERENCES mesh (id),
    speed      REAL    NOT NULL,           -- simulated seconds a second
    paused     INTEGER NOT NULL,
    since      INTEGER NOT NULL,           -- when it was tick ticks, and began to run so
    tick       INTEGER NOT NULL,           -- a tick is a simulated minute
    started_at INTEGER NOT NULL,           -- simulated and real time of tick 0
    told       INTEGER NOT NULL            -- the last tick that peers were told of
) STRICT;

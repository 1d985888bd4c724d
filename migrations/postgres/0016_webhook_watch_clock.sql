-- +goose Up

-- Doors by which the world outside sends messages into a mesh. Of a secret there is only its SHA-256.
CREATE TABLE broker.webhook (
    id          text COLLATE "C" PRIMARY KEY,
    mesh_id     text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    name        text COLLATE "C" NOT NULL,
    member_id   text COLLATE "C" NOT NULL,          -- who made it, and who its messages are from
    author      text             NOT NULL,          -- its name at that time
    target      text             NOT NULL,          -- whom messages are for, as in a send
    signature   text             NOT NULL,          -- what requests are signed over: '', body or timed
    signing_key text             NOT NULL,          -- sealed with the operator's key, '' without a signature
    created_at  timestamptz      NOT NULL,
    secret      bytea            NOT NULL,          -- SHA-256
    old_secret  bytea,                           -- the one before, good until old_until
    old_until   timestamptz,
    UNIQUE (mesh_id, name)
);

CREATE UNIQUE INDEX webhook_by_secret ON broker.webhook (secret);
CREATE UNIQUE INDEX webhook_by_old_secret ON broker.webhook (old_secret) WHERE old_secret IS NOT NULL;

-- URLs that the broker looks at for members.
CREATE TABLE broker.watch (
    id         text COLLATE "C" PRIMARY KEY,
    mesh_id    text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    member_id  text COLLATE "C" NOT NULL,           -- who wants to know
    request    bytea            NOT NULL,           -- SHA-256 of what was asked for
    url        text             NOT NULL,
    mode       text             NOT NULL,           -- hash, json or status
    extract    text             NOT NULL,           -- '' for all
    notify_on  text             NOT NULL,
    headers    text             NOT NULL,           -- JSON, sealed where the broker has a key
    label      text             NOT NULL,
    seconds    bigint           NOT NULL,           -- from one look to the next
    created_at timestamptz      NOT NULL,
    value      text             NOT NULL,           -- what was seen last, '' before the first look
    checked_at timestamptz,                            -- the last look
    failures   bigint           NOT NULL,           -- in a row
    failure    text             NOT NULL,           -- of the last look, '' when it went well
    next_at    timestamptz      NOT NULL,           -- the next look
    UNIQUE (mesh_id, member_id, request)
);

CREATE INDEX watch_due ON broker.watch (next_at);

-- The simulated time of meshes. It is counted from a moment at which it was known, and nothing is written as it goes on.
CREATE TABLE broker.mesh_clock (
    mesh_id    text COLLATE "C" PRIMARY KEY REFERENCES broker.mesh (id),
    speed      double precision NOT NULL,           -- simulated seconds a second
    paused     boolean          NOT NULL,
    since      timestamptz      NOT NULL,           -- when it was tick ticks, and began to run so
    tick       bigint           NOT NULL,           -- a tick is a simulated minute
    started_at timestamptz      NOT NULL,           -- simulated and real time of tick 0
    told       bigint           NOT NULL            -- the last tick that peers were told of
);

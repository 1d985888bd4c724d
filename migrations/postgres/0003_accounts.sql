-- +goose Up

-- Accounts, and how they sign in over HTTP. Of what proves somebody to be an account only the SHA-256 is kept, as 32
-- bytes.
--
-- A program that does not know these tables and columns works beside one that does: what it writes gets the defaults.

CREATE TABLE broker.account (
    id          text COLLATE "C" PRIMARY KEY,
    email       text             NOT NULL,          -- '' when unknown; not proved
    name        text             NOT NULL,
    created_at  timestamptz      NOT NULL,
    disabled_at timestamptz,
    no_legacy   boolean          NOT NULL           -- legacy-auth does not take its id for a proof
);

-- Rows are updated while they are used. The free part of each page lets a new version stay beside the old one, and then
-- no index is touched.
CREATE TABLE broker.token (
    id           text COLLATE "C" PRIMARY KEY,
    account_id   text COLLATE "C" NOT NULL REFERENCES broker.account (id),
    hash         bytea            NOT NULL UNIQUE,  -- of the token, which is kept nowhere
    kind         text             NOT NULL,         -- device, pasted or operator
    hostname     text             NOT NULL,         -- of the machine that it was made for; the next two too
    platform     text             NOT NULL,
    arch         text             NOT NULL,
    created_at   timestamptz      NOT NULL,
    expires_at   timestamptz      NOT NULL,
    last_seen_at timestamptz,
    revoked_at   timestamptz
) WITH (fillfactor = 70);

CREATE INDEX token_by_account ON broker.token (account_id);

-- The sign-in of a command line by a device code.
CREATE TABLE broker.sign_in (
    id          text COLLATE "C" PRIMARY KEY,       -- in the link that the person opens
    device_hash bytea            NOT NULL UNIQUE,   -- of the device code
    user_code   text COLLATE "C" NOT NULL UNIQUE,   -- for the person to compare and to type
    hostname    text             NOT NULL,          -- as the command line said; the next two too
    platform    text             NOT NULL,
    arch        text             NOT NULL,
    remote      text             NOT NULL,          -- network address that asked
    created_at  timestamptz      NOT NULL,
    expires_at  timestamptz      NOT NULL,
    approved_at timestamptz,
    account_id  text COLLATE "C" REFERENCES broker.account (id), -- of who approved
    consumed_at timestamptz                         -- when its token was handed out
);

-- A code that is good once. A spent one has no row.
CREATE TABLE broker.one_time_code (
    hash       bytea            PRIMARY KEY,
    account_id text COLLATE "C" NOT NULL REFERENCES broker.account (id),
    expires_at timestamptz      NOT NULL
);

ALTER TABLE broker.member
    ADD COLUMN permissions text             NOT NULL DEFAULT '{}', -- JSON: permission → decided; no entry means as the role says
    ADD COLUMN account_id  text COLLATE "C" NOT NULL DEFAULT '';   -- of the person behind the member, '' when unknown

CREATE INDEX member_by_account ON broker.member (account_id, mesh_id) WHERE account_id <> '';

ALTER TABLE broker.mesh
    ADD COLUMN owner_account text COLLATE "C" NOT NULL DEFAULT ''; -- of the person who made the mesh, '' for nobody

CREATE INDEX mesh_by_owner_account ON broker.mesh (owner_account) WHERE owner_account <> '';

ALTER TABLE broker.invite
    ADD COLUMN capability text             NOT NULL DEFAULT '',    -- what the owner signed, '' when it cannot be claimed by its code
    ADD COLUMN created_by text COLLATE "C" NOT NULL DEFAULT '';    -- member or account, '' for the operator

-- +goose Up

-- Accounts, and how they sign in over HTTP. Of what proves somebody to be an account only the SHA-256 is kept, as 64
-- lower-case hex digits. The columns that tables of before get have defaults, for a program that does not know them.

CREATE TABLE account (
    id          TEXT    NOT NULL PRIMARY KEY,
    email       TEXT    NOT NULL,                -- '' when unknown; not proved
    name        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER,
    no_legacy   INTEGER NOT NULL                 -- 0 or 1: legacy-auth does not take its id for a proof
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    id           TEXT    NOT NULL PRIMARY KEY,
    account_id   TEXT    NOT NULL REFERENCES account (id),
    hash         TEXT    NOT NULL UNIQUE,        -- of the token, which is kept nowhere
    kind         TEXT    NOT NULL,               -- device, pasted or operator
    hostname     TEXT    NOT NULL,               -- of the machine that it was made for; the next two too
    platform     TEXT    NOT NULL,
    arch         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    last_seen_at INTEGER,
    revoked_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX token_by_account ON token (account_id);

-- The sign-in of a command line by a device code.
CREATE TABLE sign_in (
    id          TEXT    NOT NULL PRIMARY KEY,    -- in the link that the person opens
    device_hash TEXT    NOT NULL UNIQUE,         -- of the device code
    user_code   TEXT    NOT NULL UNIQUE,         -- for the person to compare and to type
    hostname    TEXT    NOT NULL,                -- as the command line said; the next two too
    platform    TEXT    NOT NULL,
    arch        TEXT    NOT NULL,
    remote      TEXT    NOT NULL,                -- network address that asked
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    approved_at INTEGER,
    account_id  TEXT REFERENCES account (id),    -- of who approved
    consumed_at INTEGER                          -- when its token was handed out
) STRICT, WITHOUT ROWID;

-- A code that is good once. A spent one has no row.
CREATE TABLE one_time_code (
    hash       TEXT    NOT NULL PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES account (id),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Tokens that are good once. A power cut may take the newest.
CREATE TABLE used_token (
    token TEXT    NOT NULL PRIMARY KEY,          -- a SHA-256
    until INTEGER NOT NULL                       -- it may be forgotten then
) STRICT, WITHOUT ROWID;

CREATE INDEX used_token_by_end ON used_token (until);

ALTER TABLE member ADD COLUMN permissions TEXT NOT NULL DEFAULT '{}'; -- JSON: permission → decided; no entry means as the role says
ALTER TABLE member ADD COLUMN account_id  TEXT NOT NULL DEFAULT '';   -- of the person behind the member, '' when unknown

CREATE INDEX member_by_account ON member (account_id, mesh_id) WHERE account_id <> '';

ALTER TABLE mesh ADD COLUMN owner_account TEXT NOT NULL DEFAULT '';   -- of the person who made the mesh, '' for nobody

CREATE INDEX mesh_by_owner_account ON mesh (owner_account) WHERE owner_account <> '';

ALTER TABLE invite ADD COLUMN capability TEXT NOT NULL DEFAULT '';    -- what the owner signed, '' when it cannot be claimed by its code
ALTER TABLE invite ADD COLUMN created_by TEXT NOT NULL DEFAULT '';    -- member or account, '' for the operator

-- +goose Up

-- Of an invite's token, which holds the mesh's root key, only the SHA-256 is kept in clear: the column token has
-- "sha256:" and 64 lower-case hex digits. A row of a program that does not know this has the token itself there and no
-- sealed one, and works: each start of a broker brings such rows up to date, when no broker of before is left.

ALTER TABLE broker.invite
    ADD COLUMN sealed_token text NOT NULL DEFAULT ''; -- the token, sealed with the operator's key

CREATE INDEX invite_unsealed ON broker.invite (id) WHERE sealed_token = '';

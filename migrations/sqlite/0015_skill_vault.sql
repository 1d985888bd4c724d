-- +goose Up

-- Instructions that the members of a mesh share, by their name.
CREATE TABLE skill (
    mesh_id      TEXT    NOT NULL REFERENCES mesh (id),
    name         TEXT    NOT NULL,
    member_id    TEXT    NOT NULL,          -- who shared it last, '' when that is not known
    author       TEXT    NOT NULL,          -- its name at that time
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    tags         TEXT    NOT NULL,          -- JSON: texts
    folded       TEXT    NOT NULL,          -- what is searched, in lower case
    description  TEXT    NOT NULL,
    instructions TEXT    NOT NULL,
    manifest     TEXT    NOT NULL,          -- JSON as it came but for spaces, '' for none
    PRIMARY KEY (mesh_id, name)
) STRICT;

-- Secrets that clients have sealed, of one member each.
CREATE TABLE vault_entry (
    mesh_id     TEXT    NOT NULL REFERENCES mesh (id),
    member_id   TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    type        TEXT    NOT NULL,           -- env or file
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    mount_path  TEXT    NOT NULL,           -- '' for none
    description TEXT    NOT NULL,           -- '' for none
    nonce       TEXT    NOT NULL,
    sealed_key  TEXT    NOT NULL,
    ciphertext  TEXT    NOT NULL,
    PRIMARY KEY (mesh_id, member_id, key)
) STRICT;

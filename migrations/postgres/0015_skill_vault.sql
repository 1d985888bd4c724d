-- +goose Up

-- Instructions that the members of a mesh share, by their name.
CREATE TABLE broker.skill (
    mesh_id      text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    name         text COLLATE "C" NOT NULL,
    member_id    text COLLATE "C" NOT NULL,          -- who shared it last, '' when that is not known
    author       text             NOT NULL,          -- its name at that time
    created_at   timestamptz      NOT NULL,
    updated_at   timestamptz      NOT NULL,
    tags         text             NOT NULL,          -- JSON: texts
    folded       text             NOT NULL,          -- what is searched, in lower case
    description  text             NOT NULL,
    instructions text             NOT NULL,
    manifest     text             NOT NULL,          -- JSON as it came but for spaces, '' for none
    PRIMARY KEY (mesh_id, name)
);

-- Secrets that clients have sealed, of one member each.
CREATE TABLE broker.vault_entry (
    mesh_id     text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    member_id   text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    type        text             NOT NULL,           -- env or file
    created_at  timestamptz      NOT NULL,
    updated_at  timestamptz      NOT NULL,
    mount_path  text             NOT NULL,           -- '' for none
    description text             NOT NULL,           -- '' for none
    nonce       text             NOT NULL,
    sealed_key  text             NOT NULL,
    ciphertext  text             NOT NULL,
    PRIMARY KEY (mesh_id, member_id, key)
);

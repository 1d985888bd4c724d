-- +goose Up

-- What lets programs act over HTTP for the member that made it.
CREATE TABLE broker.api_key (
    id           text COLLATE "C" PRIMARY KEY,
    mesh_id      text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    member_id    text COLLATE "C" NOT NULL REFERENCES broker.member (id),
    label        text             NOT NULL,
    prefix       text             NOT NULL,        -- how the secret begins
    hash         bytea            NOT NULL UNIQUE, -- SHA-256 of the secret
    capabilities text             NOT NULL,        -- JSON: send, read, state_write, admin
    topics       text             NOT NULL,        -- JSON: ids or names of topics; [] for all
    created_at   timestamptz      NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
) WITH (fillfactor = 80);

CREATE INDEX api_key_by_time ON broker.api_key (mesh_id, created_at, id);

CREATE INDEX api_key_by_member ON broker.api_key (member_id, created_at, id);

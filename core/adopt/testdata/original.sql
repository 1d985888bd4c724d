-- The tables of the broker that came before, of its newest generation, as far as an import reads them, and two and a
-- half meshes. The test adds the audit logs, whose hashes come from the vectors of package audit.
--
-- Everything happens around 2026-04-20 12:00 UTC.

CREATE SCHEMA mesh;
CREATE TYPE mesh.role AS ENUM ('admin', 'member');
CREATE TYPE mesh.presence_status AS ENUM ('idle', 'working', 'dnd');
CREATE TYPE mesh.presence_status_source AS ENUM ('hook', 'manual', 'jsonl');
CREATE TYPE mesh.message_priority AS ENUM ('now', 'next', 'low');
CREATE TYPE mesh.visibility AS ENUM ('private', 'public');
CREATE TYPE mesh.transport AS ENUM ('managed', 'tailscale', 'self_hosted');
CREATE TYPE mesh.tier AS ENUM ('free', 'pro', 'team', 'enterprise');

CREATE TABLE public."user" (
    id         text PRIMARY KEY,
    name       text NOT NULL,
    email      text NOT NULL,
    created_at timestamp NOT NULL DEFAULT now()
);

CREATE TABLE mesh.mesh (
    id               text PRIMARY KEY,
    name             text NOT NULL,
    slug             text NOT NULL,
    owner_user_id    text NOT NULL REFERENCES public."user" (id) ON DELETE CASCADE,
    visibility       mesh.visibility NOT NULL DEFAULT 'private',
    transport        mesh.transport NOT NULL DEFAULT 'managed',
    tier             mesh.tier NOT NULL DEFAULT 'free',
    max_peers        integer,
    owner_pubkey     text,
    owner_secret_key text,
    root_key         text,
    self_editable    jsonb DEFAULT '{"displayName":true,"roleTag":true,"groups":true,"messageMode":true}',
    created_at       timestamp NOT NULL DEFAULT now(),
    archived_at      timestamp
);

CREATE TABLE mesh.member (
    id                text PRIMARY KEY,
    mesh_id           text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    user_id           text REFERENCES public."user" (id) ON DELETE SET NULL,
    peer_pubkey       text NOT NULL,
    display_name      text NOT NULL,
    role              mesh.role NOT NULL DEFAULT 'member',
    role_tag          text,
    default_groups    jsonb DEFAULT '[]',
    message_mode      text DEFAULT 'push',
    dashboard_user_id text,
    joined_at         timestamp NOT NULL DEFAULT now(),
    last_seen_at      timestamp,
    revoked_at        timestamp,
    peer_grants       jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE mesh.invite (
    id                text PRIMARY KEY,
    mesh_id           text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    token             text NOT NULL UNIQUE,
    token_bytes       text,
    code              text UNIQUE,
    max_uses          integer NOT NULL DEFAULT 1,
    used_count        integer NOT NULL DEFAULT 0,
    role              mesh.role NOT NULL DEFAULT 'member',
    preset            jsonb DEFAULT '{}',
    expires_at        timestamp NOT NULL,
    created_by        text NOT NULL REFERENCES public."user" (id) ON DELETE CASCADE,
    created_at        timestamp NOT NULL DEFAULT now(),
    revoked_at        timestamp,
    version           integer NOT NULL DEFAULT 1,
    capability_v2     text,
    claimed_by_pubkey text
);

CREATE TABLE mesh.presence (
    id                text PRIMARY KEY,
    member_id         text NOT NULL REFERENCES mesh.member (id) ON DELETE CASCADE,
    session_id        text NOT NULL,
    session_pubkey    text,
    display_name      text,
    pid               integer NOT NULL,
    cwd               text NOT NULL,
    status            mesh.presence_status NOT NULL DEFAULT 'idle',
    status_source     mesh.presence_status_source NOT NULL DEFAULT 'jsonl',
    status_updated_at timestamp NOT NULL DEFAULT now(),
    summary           text,
    groups            jsonb DEFAULT '[]',
    connected_at      timestamp NOT NULL DEFAULT now(),
    last_ping_at      timestamp NOT NULL DEFAULT now(),
    disconnected_at   timestamp,
    role              text NOT NULL DEFAULT 'session'
);

CREATE TABLE mesh.peer_state (
    id                text PRIMARY KEY,
    mesh_id           text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    member_id         text NOT NULL REFERENCES mesh.member (id) ON DELETE CASCADE,
    groups            jsonb DEFAULT '[]',
    profile           jsonb DEFAULT '{}',
    visible           boolean NOT NULL DEFAULT true,
    last_summary      text,
    last_display_name text,
    cumulative_stats  jsonb DEFAULT '{"messagesIn":0,"messagesOut":0,"toolCalls":0,"errors":0}',
    last_seen_at      timestamp,
    created_at        timestamp NOT NULL DEFAULT now(),
    updated_at        timestamp NOT NULL DEFAULT now(),
    UNIQUE (mesh_id, member_id)
);

CREATE TABLE mesh.state (
    id                  text PRIMARY KEY,
    mesh_id             text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    key                 text NOT NULL,
    value               jsonb NOT NULL,
    updated_by_presence text,
    updated_by_name     text,
    updated_at          timestamp NOT NULL DEFAULT now(),
    UNIQUE (mesh_id, key)
);

CREATE TABLE mesh.memory (
    id                 text PRIMARY KEY,
    mesh_id            text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    content            text NOT NULL,
    tags               text[] DEFAULT '{}',
    remembered_by      text,
    remembered_by_name text,
    remembered_at      timestamp NOT NULL DEFAULT now(),
    forgotten_at       timestamp
);

CREATE TABLE mesh.context (
    id           text PRIMARY KEY,
    mesh_id      text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    member_id    text,
    presence_id  text,
    peer_name    text,
    summary      text NOT NULL,
    files_read   text[] DEFAULT '{}',
    key_findings text[] DEFAULT '{}',
    tags         text[] DEFAULT '{}',
    updated_at   timestamp NOT NULL DEFAULT now(),
    UNIQUE (mesh_id, member_id)
);

CREATE TABLE mesh.scheduled_message (
    id          text PRIMARY KEY,
    mesh_id     text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    presence_id text,
    member_id   text NOT NULL,
    "to"        text NOT NULL,
    message     text NOT NULL,
    deliver_at  timestamp,
    cron        text,
    subtype     text,
    fired_count integer NOT NULL DEFAULT 0,
    cancelled   boolean NOT NULL DEFAULT false,
    fired_at    timestamp,
    created_at  timestamp NOT NULL DEFAULT now()
);

CREATE TABLE mesh.task (
    id                  text PRIMARY KEY,
    mesh_id             text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    title               text NOT NULL,
    assignee            text,
    claimed_by_name     text,
    claimed_by_presence text,
    priority            text NOT NULL DEFAULT 'normal',
    status              text NOT NULL DEFAULT 'open',
    tags                text[] DEFAULT '{}',
    result              text,
    created_by_name     text,
    created_at          timestamp NOT NULL DEFAULT now(),
    claimed_at          timestamp,
    completed_at        timestamp
);

CREATE TABLE mesh.message_queue (
    id                    text PRIMARY KEY,
    mesh_id               text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    sender_member_id      text NOT NULL REFERENCES mesh.member (id) ON DELETE CASCADE,
    sender_session_pubkey text,
    target_spec           text NOT NULL,
    priority              mesh.message_priority NOT NULL DEFAULT 'next',
    nonce                 text NOT NULL,
    ciphertext            text NOT NULL,
    created_at            timestamp NOT NULL DEFAULT now(),
    delivered_at          timestamp,
    expires_at            timestamp,
    client_message_id     text,
    request_fingerprint   text,
    claimed_at            timestamp,
    claim_id              text,
    claim_expires_at      timestamp
);

CREATE TABLE mesh.audit_log (
    id                 integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mesh_id            text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    event_type         text NOT NULL,
    actor_member_id    text,
    actor_display_name text,
    payload            jsonb NOT NULL DEFAULT '{}',
    prev_hash          text NOT NULL,
    hash               text NOT NULL,
    created_at         timestamp NOT NULL DEFAULT now()
);

CREATE TABLE mesh.permission (
    id                     text PRIMARY KEY,
    mesh_id                text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    member_id              text NOT NULL REFERENCES mesh.member (id) ON DELETE CASCADE,
    can_invite             boolean NOT NULL DEFAULT false,
    can_deploy_mcp         boolean NOT NULL DEFAULT false,
    can_manage_files       boolean NOT NULL DEFAULT false,
    can_manage_vault       boolean NOT NULL DEFAULT false,
    can_manage_watches     boolean NOT NULL DEFAULT false,
    can_manage_webhooks    boolean NOT NULL DEFAULT false,
    can_write_state        boolean NOT NULL DEFAULT true,
    can_send               boolean NOT NULL DEFAULT true,
    can_use_tools          boolean NOT NULL DEFAULT true,
    can_delete_mesh        boolean NOT NULL DEFAULT false,
    can_manage_permissions boolean NOT NULL DEFAULT false,
    UNIQUE (mesh_id, member_id)
);

CREATE TYPE mesh.topic_visibility AS ENUM ('public', 'private', 'dm');
CREATE TYPE mesh.topic_member_role AS ENUM ('lead', 'member', 'observer');

CREATE TABLE mesh.topic (
    id                   text PRIMARY KEY,
    mesh_id              text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    name                 text NOT NULL,
    description          text,
    visibility           mesh.topic_visibility NOT NULL DEFAULT 'public',
    created_by_member_id text REFERENCES mesh.member (id) ON DELETE SET NULL,
    created_at           timestamp NOT NULL DEFAULT now(),
    archived_at          timestamp,
    encrypted_key_pubkey text,
    UNIQUE (mesh_id, name)
);

CREATE TABLE mesh.topic_member (
    id           text PRIMARY KEY,
    topic_id     text NOT NULL REFERENCES mesh.topic (id) ON DELETE CASCADE,
    member_id    text NOT NULL REFERENCES mesh.member (id) ON DELETE CASCADE,
    role         mesh.topic_member_role NOT NULL DEFAULT 'member',
    joined_at    timestamp NOT NULL DEFAULT now(),
    last_read_at timestamp,
    UNIQUE (topic_id, member_id)
);

CREATE TABLE mesh.topic_member_key (
    id            text PRIMARY KEY,
    topic_id      text NOT NULL REFERENCES mesh.topic (id) ON DELETE CASCADE,
    member_id     text NOT NULL REFERENCES mesh.member (id) ON DELETE CASCADE,
    encrypted_key text NOT NULL,
    nonce         text NOT NULL,
    created_at    timestamp NOT NULL DEFAULT now(),
    rotated_at    timestamp,
    UNIQUE (topic_id, member_id)
);

CREATE TABLE mesh.topic_message (
    id                    text PRIMARY KEY,
    topic_id              text NOT NULL REFERENCES mesh.topic (id) ON DELETE CASCADE,
    sender_member_id      text NOT NULL REFERENCES mesh.member (id) ON DELETE CASCADE,
    sender_session_pubkey text,
    nonce                 text NOT NULL,
    ciphertext            text NOT NULL,
    body_version          integer NOT NULL DEFAULT 1,
    reply_to_id           text REFERENCES mesh.topic_message (id) ON DELETE SET NULL,
    created_at            timestamp NOT NULL DEFAULT now()
);

CREATE TABLE mesh.notification (
    id                  text PRIMARY KEY,
    mesh_id             text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    topic_id            text NOT NULL REFERENCES mesh.topic (id) ON DELETE CASCADE,
    message_id          text NOT NULL REFERENCES mesh.topic_message (id) ON DELETE CASCADE,
    recipient_member_id text NOT NULL REFERENCES mesh.member (id) ON DELETE CASCADE,
    sender_member_id    text NOT NULL REFERENCES mesh.member (id) ON DELETE CASCADE,
    kind                text NOT NULL DEFAULT 'mention',
    created_at          timestamp NOT NULL DEFAULT now(),
    read_at             timestamp,
    UNIQUE (message_id, recipient_member_id)
);

CREATE TABLE mesh.stream (
    id              text PRIMARY KEY,
    mesh_id         text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    name            text NOT NULL,
    created_by_name text,
    created_at      timestamp NOT NULL DEFAULT now(),
    UNIQUE (mesh_id, name)
);

CREATE TABLE mesh.skill (
    id               text PRIMARY KEY,
    mesh_id          text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    name             text NOT NULL,
    description      text NOT NULL,
    instructions     text NOT NULL,
    tags             text[] DEFAULT '{}',
    author_member_id text,
    author_name      text,
    source_type      text NOT NULL DEFAULT 'inline',
    bundle_file_id   text,
    git_url          text,
    git_branch       text,
    git_sha          text,
    manifest         jsonb,
    created_at       timestamp NOT NULL DEFAULT now(),
    updated_at       timestamp NOT NULL DEFAULT now(),
    UNIQUE (mesh_id, name)
);

CREATE TABLE mesh.vault_entry (
    id          text PRIMARY KEY,
    mesh_id     text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    member_id   text NOT NULL REFERENCES mesh.member (id) ON DELETE CASCADE,
    key         text NOT NULL,
    ciphertext  text NOT NULL,
    nonce       text NOT NULL,
    sealed_key  text NOT NULL,
    entry_type  text NOT NULL DEFAULT 'env',
    mount_path  text,
    description text,
    created_at  timestamp NOT NULL DEFAULT now(),
    updated_at  timestamp NOT NULL DEFAULT now(),
    UNIQUE (mesh_id, member_id, key)
);

CREATE TABLE mesh.api_key (
    id                  text PRIMARY KEY,
    mesh_id             text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    label               text NOT NULL,
    secret_hash         text NOT NULL,
    secret_prefix       text NOT NULL,
    capabilities        jsonb NOT NULL DEFAULT '[]',
    topic_scopes        jsonb,
    issued_by_member_id text REFERENCES mesh.member (id) ON DELETE SET NULL,
    created_at          timestamp NOT NULL DEFAULT now(),
    last_used_at        timestamp,
    revoked_at          timestamp,
    expires_at          timestamp
);

CREATE TABLE mesh.webhook (
    id         text PRIMARY KEY,
    mesh_id    text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    name       text NOT NULL,
    secret     text NOT NULL,
    active     boolean NOT NULL DEFAULT true,
    created_by text,
    created_at timestamp NOT NULL DEFAULT now(),
    UNIQUE (mesh_id, name)
);

CREATE TABLE mesh.file (
    id                 text PRIMARY KEY,
    mesh_id            text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    name               text NOT NULL,
    size_bytes         integer NOT NULL,
    mime_type          text,
    minio_key          text NOT NULL,
    uploaded_by_member text,
    uploaded_at        timestamp NOT NULL DEFAULT now(),
    deleted_at         timestamp
);

CREATE TABLE mesh.service (
    id      text PRIMARY KEY,
    mesh_id text NOT NULL REFERENCES mesh.mesh (id) ON DELETE CASCADE,
    name    text NOT NULL,
    type    text NOT NULL DEFAULT 'mcp',
    UNIQUE (mesh_id, name)
);

INSERT INTO public."user" (id, name, email, created_at) VALUES
    ('u-ann', 'Ann Ö', 'ann@example.com', '2026-01-01 08:00:00'), ('u-bob', 'Bob', 'bob@example.com', '2026-01-02 08:00:00');

-- mesh01 is the one of the vectors, with their owner; old has its slug, neither key nor use; the third has an id that is
-- not ASCII, an owner's secret that is not the owner's, and a broken log.
INSERT INTO mesh.mesh (id, name, slug, owner_user_id, owner_pubkey, owner_secret_key, root_key, self_editable, created_at,
    archived_at) VALUES
    ('mesh01', 'Dev Team', 'dev-team', 'u-ann', '28cd6f86448419d1b1cb15fe81c6110f955cf771f98e9cef1d8a3c7d06b5e478',
        :'owner_secret', 'KuPZwpvNpR6WCc0UanYGisnJ1EJ4JOHnL_zE4vrR1_s',
        '{"displayName":true,"roleTag":false,"groups":true,"messageMode":false}', '2026-04-01 08:00:00.123456', NULL),
    ('old', 'Old Team', 'dev-team', 'u-bob', NULL, NULL, NULL, NULL, '2026-03-01 08:00:00', '2026-03-02 08:00:00'),
    ('mesh-ünï', 'Größe 網', 'uni', 'u-bob', '28cd6f86448419d1b1cb15fe81c6110f955cf771f98e9cef1d8a3c7d06b5e478',
        repeat('42', 32), 'short', '[]', '2026-04-02 08:00:00', NULL);

INSERT INTO mesh.member (id, mesh_id, user_id, peer_pubkey, display_name, role, role_tag, default_groups, message_mode,
    joined_at, revoked_at, peer_grants) VALUES
    -- the owner's account, a plain member over there
    ('ann', 'mesh01', 'u-ann', repeat('a1', 32), 'Ann', 'member', 'lead', '[{"name":"crew/a","role":"r"},{"name":"@no"}]', 'inbox',
        '2026-04-01 09:00:00', NULL, format('{"%s":[],"%s":["read"],"nokey":["dm"]}', repeat('e5', 32), repeat('B2', 32))::jsonb),
    -- joined by an invite: no account
    ('bo', 'mesh01', NULL, repeat('b2', 32), 'Bo', 'member', NULL, NULL, NULL, '2026-04-01 10:00:00', NULL,
        format('{"%s":"read-dm","%s":7,"%s":["dm","fly","dm"]}', repeat('a1', 32), repeat('c3', 32), repeat('d4', 32))::jsonb),
    ('cy', 'mesh01', NULL, repeat('c3', 32), 'Cy', 'admin', NULL, '[]', 'push', '2026-04-01 11:00:00', '2026-04-10 00:00:00', '{}'),
    -- one key four times: revoked, live, the oldest that is live, in upper case
    ('dee1', 'mesh01', NULL, repeat('d4', 32), 'Dee', 'member', NULL, '[]', 'push', '2026-04-01 12:00:00', '2026-04-02 00:00:00', '[]'),
    ('dee2', 'mesh01', NULL, repeat('d4', 32), 'Dee', 'member', NULL, '[]', 'push', '2026-04-03 12:00:01', NULL, '{}'),
    ('dee3', 'mesh01', NULL, repeat('d4', 32), 'Dee', 'member', NULL, '"x"', 'push', '2026-04-03 12:00:00', NULL, '[]'),
    ('dee4', 'mesh01', NULL, repeat('D4', 32), 'Dee', 'member', NULL, '[]', 'push', '2026-04-04 12:00:00', NULL, '{}'),
    -- made by a claim of an invite of version 2: the key is another kind of key
    ('eve', 'mesh01', NULL, 'q7Xk1hZ0m3uV8b5cJ9nQ2wE4rT6yU1iO3pA5sD7fG8g', 'member-q7Xk1hZ0', 'member', NULL, '[]', 'push',
        '2026-04-05 12:00:00', NULL, '{}'),
    ('zoe', 'mesh-ünï', NULL, repeat('a1', 32), 'Zoe', 'member', NULL, '[]', 'push', '2026-04-05 12:00:00', NULL, '{}');

-- bo may invite and not send, all else is as for any member; cy is as any admin
INSERT INTO mesh.permission (id, mesh_id, member_id, can_invite, can_send) VALUES ('p1', 'mesh01', 'bo', true, false);
INSERT INTO mesh.permission (id, mesh_id, member_id, can_invite, can_deploy_mcp, can_manage_files, can_manage_vault,
    can_manage_watches, can_manage_webhooks, can_manage_permissions)
    VALUES ('p2', 'mesh01', 'cy', true, true, true, true, true, true, true);

INSERT INTO mesh.invite (id, mesh_id, token, code, max_uses, used_count, role, preset, expires_at, created_by, created_at,
    revoked_at, version, capability_v2) VALUES
    ('v1', 'mesh01', 'token-v1', NULL, 3, 1, 'admin',
        '{"displayName":"New","groups":[{"name":"crew"}],"messageMode":"loud"}', '2026-04-27 12:00:00', 'u-ann', '2026-04-20 11:00:00',
        NULL, 1, NULL),
    ('gone', 'mesh01', 'token-gone', 'GONE2345', 1, 1, 'member', NULL, 'infinity', 'u-ann', '2026-04-20 11:00:00',
        '2026-04-20 11:30:00', 1, NULL),
    ('inv01', 'mesh01', 'token-v2', 'ABCD2345', 1, 0, 'member', '{}', '2026-04-22 12:00:00', 'u-ann', '2026-04-20 11:00:00', NULL, 2,
        :'capability'),
    -- the same signature behind a row that is worth more
    ('inv02', 'mesh01', 'token-forged', 'FFFF2345', 1, 0, 'admin', '{}', '2026-04-22 12:00:00', 'u-ann', '2026-04-20 11:00:00', NULL, 2,
        :'capability');

INSERT INTO mesh.presence (id, member_id, session_id, session_pubkey, pid, cwd, connected_at, last_ping_at, disconnected_at) VALUES
    ('p1', 'bo', 's1', repeat('51', 32), 1, '/', '2026-04-18 09:00:00', '2026-04-18 10:00:00', '2026-04-18 10:00:00'),
    -- another member presents it later
    ('p2', 'ann', 's2', repeat('51', 32), 1, '/', '2026-04-19 09:00:00', '2026-04-19 10:00:00', NULL),
    ('p3', 'dee2', 's3', repeat('52', 32), 1, '/', '2026-04-19 09:00:00', '2026-04-19 10:00:00', NULL),
    ('p4', 'bo', 's4', '', 1, '/', '2026-04-19 09:00:00', '2026-04-19 10:00:00', NULL),
    ('p5', 'bo', 's5', repeat('53', 32), 1, '/', '2026-04-01 09:00:00', '2026-04-01 10:00:00', '2026-04-01 10:00:00'),
    -- somebody else's member key
    ('p6', 'bo', 's6', repeat('a1', 32), 1, '/', '2026-04-19 09:00:00', '2026-04-19 10:00:00', NULL);

INSERT INTO mesh.peer_state (id, mesh_id, member_id, groups, profile, visible, last_summary, cumulative_stats, last_seen_at) VALUES
    ('st1', 'mesh01', 'bo', '[{"name":"ops"},{"name":"ops","role":"twice"}]', '{"avatar":"🦉","bio":null}', false, 'at work',
        '{"messagesIn":3,"messagesOut":4.5,"toolCalls":0,"errors":1}', '2026-04-19 10:00:00.5'),
    ('st2', 'mesh01', 'ann', '[]', '"x"', true, NULL, '[]', NULL),
    ('st3', 'mesh01', 'eve', '[]', '{}', true, NULL, NULL, NULL);

INSERT INTO mesh.state (id, mesh_id, key, value, updated_by_presence, updated_by_name, updated_at) VALUES
    ('v1', 'mesh01', 'plan', '{"steps": [1, 2.50], "a": "ö"}', 'p1', 'Ann', '2026-04-19 10:00:00.5'),
    ('v2', 'mesh01', 'done', 'false', NULL, NULL, '2026-04-19 10:00:01'),
    ('v3', 'mesh01', 'none', 'null', NULL, 'Bob', '2026-04-19 10:00:01'),
    ('v4', 'mesh01', repeat('k', 257), '1', NULL, 'Bob', '2026-04-19 10:00:01');

INSERT INTO mesh.memory (id, mesh_id, content, tags, remembered_by, remembered_by_name, remembered_at, forgotten_at) VALUES
    ('mem1', 'mesh01', 'Quick foxes', '{zoo,"a \"b\", c"}', 'ann', 'Ann', '2026-04-19 10:00:00.5', NULL),
    ('mem2', 'mesh01', 'A fox of nobody', NULL, NULL, NULL, '2026-04-19 10:00:01', NULL),
    ('mem3', 'mesh01', 'A forgotten fox', '{}', 'ann', 'Ann', '2026-04-19 10:00:01', '2026-04-19 11:00:00');

INSERT INTO mesh.context (id, mesh_id, member_id, peer_name, summary, files_read, key_findings, tags, updated_at) VALUES
    ('con1', 'mesh01', 'ann', 'Ann', 'The wire', '{a.go}', '{works}', '{codec}', '2026-04-19 10:00:00'),
    ('con2', 'mesh01', NULL, NULL, 'Of nobody', '{}', '{}', '{}', '2026-04-19 10:00:00');

INSERT INTO mesh.task (id, mesh_id, title, assignee, claimed_by_name, status, tags, result, created_by_name, created_at, claimed_at,
    completed_at) VALUES
    ('task1', 'mesh01', 'Open it', 'bo', NULL, 'open', '{x}', NULL, 'Ann', '2026-04-19 10:00:00', NULL, NULL),
    ('task2', 'mesh01', 'Claim it', NULL, 'Bo', 'claimed', '{}', NULL, NULL, '2026-04-19 10:00:01', '2026-04-19 11:00:00', NULL),
    ('task3', 'mesh01', 'Do it', NULL, 'Bo', 'done', '{}', 'done', 'Ann', '2026-04-19 10:00:02', '2026-04-19 11:00:00', '2026-04-19 12:00:00'),
    ('task4', 'mesh01', 'Lose it', NULL, NULL, 'lost', '{}', NULL, 'Ann', '2026-04-19 10:00:03', NULL, NULL);

INSERT INTO mesh.scheduled_message (id, mesh_id, member_id, "to", message, deliver_at, cron, subtype, cancelled, fired_at) VALUES
    ('sch1', 'mesh01', 'ann', '*', 'tea', '2026-04-20 11:00:00', NULL, 'reminder', false, NULL),
    ('sch2', 'mesh01', 'ann', '@ops', 'stand up', '2026-04-01 10:00:00', '0 9 * * 1', NULL, false, '2026-04-13 09:00:00'),
    ('sch3', 'mesh01', 'ann', '*', 'old', '2026-01-01 10:00:00', NULL, NULL, false, NULL),
    ('sch4', 'mesh01', 'ann', '*', 'never', NULL, '0 0 30 2 *', NULL, false, NULL),
    ('sch5', 'mesh01', 'nobody', '*', 'whose', '2030-01-01 10:00:00', NULL, NULL, false, NULL),
    ('sch6', 'mesh01', 'ann', 'whom', 'lost', '2030-01-01 10:00:00', NULL, NULL, false, NULL),
    ('sch7', 'mesh01', 'ann', '*', 'sent', '2026-04-01 10:00:00', NULL, NULL, false, '2026-04-01 10:00:00'),
    ('sch8', 'mesh01', 'ann', '*', 'cancelled', '2030-01-01 10:00:00', NULL, NULL, true, NULL);

INSERT INTO mesh.message_queue (id, mesh_id, sender_member_id, sender_session_pubkey, target_spec, priority, nonce, ciphertext,
    created_at, delivered_at, client_message_id, request_fingerprint, claimed_at) VALUES
    ('m-direct', 'mesh01', 'ann', repeat('51', 32), repeat('b2', 32), 'low', 'n1', 'c1', '2026-04-20 10:00:00.000001', NULL, 'cm-1', 'ff', NULL),
    ('m-again', 'mesh01', 'ann', repeat('51', 32), repeat('b2', 32), 'low', 'n2', 'c2', '2026-04-20 10:00:05', NULL, 'cm-1', 'ff', NULL),
    -- at the same moment, claimed and never confirmed, to a session
    ('m-session', 'mesh01', 'dee2', '', repeat('51', 32), 'now', '', '', '2026-04-20 10:00:00.000001', NULL, NULL, NULL, '2026-04-20 10:00:01'),
    ('m-revoked', 'mesh01', 'ann', NULL, repeat('C3', 32), 'next', 'n', 'c', '2026-04-20 10:01:00', NULL, NULL, NULL, NULL),
    ('m-done', 'mesh01', 'ann', NULL, repeat('b2', 32), 'next', 'n', 'c', '2026-04-20 10:01:00', '2026-04-20 10:01:01', NULL, NULL, NULL),
    ('m-all', 'mesh01', 'bo', NULL, '*', 'next', 'n', 'c', '2026-04-20 10:02:00', NULL, NULL, NULL, NULL),
    ('m-group', 'mesh01', 'dee1', NULL, '@crew', 'next', 'n', 'c', '2026-04-20 10:03:00', NULL, NULL, NULL, NULL),
    ('m-nogroup', 'mesh01', 'ann', NULL, '@nobody', 'next', 'n', 'c', '2026-04-20 10:03:00', NULL, NULL, NULL, NULL),
    ('m-topic', 'mesh01', 'ann', NULL, '#abcdefghijklmnopqrstuvwx', 'next', 'n', 'c', '2026-04-20 10:03:00', NULL, NULL, NULL, NULL),
    ('m-at', 'mesh01', 'ann', NULL, '@', 'next', 'n', 'c', '2026-04-20 10:03:00', NULL, NULL, NULL, NULL),
    ('m-stranger', 'mesh01', 'ann', NULL, repeat('77', 32), 'next', 'n', 'c', '2026-04-20 10:03:00', NULL, NULL, NULL, NULL),
    ('m-blocked', 'mesh01', 'cy', NULL, repeat('b2', 32), 'next', 'n', 'c', '2026-04-20 10:03:00', NULL, NULL, NULL, NULL),
    ('m-eve', 'mesh01', 'eve', NULL, repeat('b2', 32), 'next', 'n', 'c', '2026-04-20 10:03:00', NULL, NULL, NULL, NULL),
    ('m-old', 'mesh01', 'ann', NULL, repeat('b2', 32), 'next', 'n', 'c', '2026-04-13 12:00:00', NULL, NULL, NULL, NULL),
    ('m-week', 'mesh01', 'ann', NULL, repeat('b2', 32), 'next', 'n', 'c', '2026-04-13 12:00:00.001', NULL, NULL, NULL, NULL);

-- general has somebody's role of a lead; ops is private and has a key; nobody who is in ghost is imported; two names that
-- no topic can have here, and a private general of another mesh
INSERT INTO mesh.topic (id, mesh_id, name, description, visibility, created_by_member_id, created_at, archived_at,
    encrypted_key_pubkey) VALUES
    ('topic-general-00000000001', 'mesh01', 'general', 'All of us', 'public', NULL, '2026-04-01 08:00:01', NULL, NULL),
    ('topic-ops-00000000000002', 'mesh01', 'ops', NULL, 'private', 'dee2', '2026-04-05 08:00:00', NULL, repeat('AB', 32)),
    ('topic-old-00000000000003', 'mesh01', 'old', NULL, 'public', 'eve', '2026-04-05 08:00:01', '2026-04-06 08:00:00', 'short'),
    ('topic-name-0000000000004', 'mesh01', '#what?', NULL, 'public', 'ann', '2026-04-05 08:00:02', NULL, NULL),
    ('topic-ghost-000000000005', 'mesh01', 'ghost', NULL, 'private', 'eve', '2026-04-05 08:00:03', NULL, NULL),
    ('topic-zoe-00000000000006', 'mesh-ünï', 'general', NULL, 'private', 'zoe', '2026-04-05 08:00:03', NULL, NULL);

INSERT INTO mesh.topic_member (id, topic_id, member_id, role, joined_at, last_read_at) VALUES
    ('seat1', 'topic-general-00000000001', 'bo', 'lead', '2026-04-01 10:00:00', '2026-04-20 11:00:00'),
    ('seat2', 'topic-ops-00000000000002', 'dee2', 'lead', '2026-04-05 08:00:00', NULL),
    ('seat3', 'topic-ops-00000000000002', 'dee3', 'member', '2026-04-06 08:00:00', NULL),
    ('seat4', 'topic-ops-00000000000002', 'bo', 'observer', '2026-04-07 08:00:00', '2026-04-20 10:30:00'),
    ('seat5', 'topic-ops-00000000000002', 'eve', 'member', '2026-04-07 08:00:00', NULL),
    ('seat6', 'topic-ghost-000000000005', 'eve', 'lead', '2026-04-07 08:00:00', NULL),
    ('seat7', 'topic-zoe-00000000000006', 'zoe', 'lead', '2026-04-07 08:00:00', NULL);

INSERT INTO mesh.topic_member_key (id, topic_id, member_id, encrypted_key, nonce, created_at) VALUES
    ('tk1', 'topic-ops-00000000000002', 'dee2', replace(encode(repeat('k', 80)::bytea, 'base64'), E'\n', ''), encode(repeat('n', 24)::bytea, 'base64'),
        '2026-04-05 08:00:00'),
    ('tk2', 'topic-ops-00000000000002', 'ann', replace(encode(repeat('k', 80)::bytea, 'base64'), E'\n', ''), encode(repeat('n', 24)::bytea, 'base64'),
        '2026-04-05 08:00:00'),
    ('tk3', 'topic-ops-00000000000002', 'bo', 'no key', 'n', '2026-04-05 08:00:00');

INSERT INTO mesh.topic_message (id, topic_id, sender_member_id, sender_session_pubkey, nonce, ciphertext, body_version, reply_to_id,
    created_at) VALUES
    ('tm1', 'topic-ops-00000000000002', 'dee2', repeat('52', 32), 'n1', 'c1', 2, NULL, '2026-04-20 09:00:00.000001'),
    ('tm2', 'topic-ops-00000000000002', 'bo', NULL, 'n2', 'c2', 1, 'tm1', '2026-04-20 09:00:00.000002'),
    ('tm3', 'topic-general-00000000001', 'ann', NULL, 'n3', 'c3', 1, NULL, '2026-04-20 13:00:00'),
    ('tm4', 'topic-ops-00000000000002', 'eve', NULL, 'n', 'c', 1, NULL, '2026-04-20 10:00:01'),
    ('tm5', 'topic-ops-00000000000002', 'bo', NULL, 'n', 'c', 3, NULL, '2026-04-20 10:00:01'),
    ('tm6', 'topic-ghost-000000000005', 'bo', NULL, 'n', 'c', 1, NULL, '2026-04-20 10:00:01');

INSERT INTO mesh.notification (id, mesh_id, topic_id, message_id, recipient_member_id, sender_member_id, kind, created_at, read_at) VALUES
    ('n1', 'mesh01', 'topic-ops-00000000000002', 'tm1', 'bo', 'dee2', 'mention', '2026-04-20 10:00:00', '2026-04-20 10:05:00'),
    ('n2', 'mesh01', 'topic-ops-00000000000002', 'tm2', 'dee2', 'bo', 'mention', '2026-04-20 10:00:00', NULL),
    ('n3', 'mesh01', 'topic-ops-00000000000002', 'tm2', 'eve', 'bo', 'mention', '2026-04-20 10:00:00', NULL),
    ('n4', 'mesh01', 'topic-ops-00000000000002', 'tm2', 'ann', 'bo', 'wave', '2026-04-20 10:00:00', NULL);

INSERT INTO mesh.stream (id, mesh_id, name, created_by_name, created_at) VALUES
    ('str1', 'mesh01', 'build', 'Ann', '2026-04-19 10:00:00'), ('str2', 'mesh01', repeat('s', 129), NULL, '2026-04-19 10:00:00');

INSERT INTO mesh.skill (id, mesh_id, name, description, instructions, tags, author_member_id, author_name, manifest, created_at,
    updated_at) VALUES
    ('sk1', 'mesh01', 'review', 'Reads code', '1. Read', '{code}', 'dee2', 'Dee', '{"model": "any", "when_to_use": 1.50}',
        '2026-04-19 10:00:00', '2026-04-19 11:00:00'),
    ('sk2', 'mesh01', 'orphan', '', '', NULL, 'eve', NULL, 'null', '2026-04-19 10:00:00', '2026-04-19 10:00:00'),
    ('sk3', 'mesh01', 'deep', 'd', 'i', '{}', 'ann', 'Ann', (repeat('[', 29) || repeat(']', 29))::jsonb, '2026-04-19 10:00:00',
        '2026-04-19 10:00:00'),
    ('sk4', 'mesh01', '', 'd', 'i', '{}', 'ann', 'Ann', NULL, '2026-04-19 10:00:00', '2026-04-19 10:00:00');

INSERT INTO mesh.vault_entry (id, mesh_id, member_id, key, ciphertext, nonce, sealed_key, entry_type, mount_path, description,
    created_at, updated_at) VALUES
    ('va1', 'mesh01', 'dee2', 'TOKEN', 'older', 'n', 's', 'env', NULL, NULL, '2026-04-01 10:00:00', '2026-04-02 10:00:00'),
    ('va2', 'mesh01', 'dee3', 'TOKEN', 'c2VhbGVk', 'bm9uY2U=', 'a2V5', 'file', '/run/x', 'for it', '2026-04-01 10:00:00',
        '2026-04-03 10:00:00'),
    ('va3', 'mesh01', 'eve', 'TOKEN', 'c', 'n', 's', 'env', NULL, NULL, '2026-04-01 10:00:00', '2026-04-02 10:00:00'),
    ('va4', 'mesh01', 'ann', '', 'c', 'n', 's', 'env', NULL, NULL, '2026-04-01 10:00:00', '2026-04-02 10:00:00'),
    ('va5', 'mesh01', 'ann', 'ODD', 'c', 'n', 's', 'odd', NULL, NULL, '2026-04-01 10:00:00', '2026-04-02 10:00:00');

-- the secret of key01 is cm_ and 43 A
INSERT INTO mesh.api_key (id, mesh_id, label, secret_hash, secret_prefix, capabilities, topic_scopes, issued_by_member_id,
    created_at, last_used_at, revoked_at, expires_at) VALUES
    ('key01', 'mesh01', 'ci', encode(sha256(('cm_' || repeat('A', 43))::bytea), 'hex'), 'cm_AAAAAAAA', '["send","read","send"]',
        '["ops","#build"]', 'dee2', '2026-04-10 10:00:00', '2026-04-19 10:00:00', NULL, '2026-05-10 10:00:00'),
    ('key02', 'mesh01', 'all', repeat('02', 32), 'cm_BBBBBBBB', '["admin","fly"]', NULL, 'bo', '2026-04-10 10:00:00', NULL, NULL, NULL),
    ('key03', 'mesh01', 'owner', repeat('03', 32), 'cm_CCCCCCCC', '["admin"]', 'null', 'ann', '2026-04-10 10:00:00', NULL, NULL, NULL),
    ('key04', 'mesh01', 'none', repeat('04', 32), 'cm_DDDDDDDD', '["send"]', '[]', 'bo', '2026-04-10 10:00:00', NULL, NULL, NULL),
    ('key05', 'mesh01', 'whose', repeat('05', 32), 'cm_EEEEEEEE', '["send"]', NULL, NULL, '2026-04-10 10:00:00', NULL, NULL, NULL),
    ('key06', 'mesh01', 'banned', repeat('06', 32), 'cm_FFFFFFFF', '["send"]', NULL, 'cy', '2026-04-10 10:00:00', NULL, NULL, NULL),
    ('key07', 'mesh01', 'other', '$argon2id$x', 'cm_GGGGGGGG', '["send"]', NULL, 'bo', '2026-04-10 10:00:00', NULL, NULL, NULL),
    ('key08', 'mesh01', 'idle', repeat('08', 32), 'cm_HHHHHHHH', '["fly"]', NULL, 'ann', '2026-04-10 10:00:00', NULL, NULL, NULL),
    ('key09', 'mesh01', 'gone', repeat('09', 32), 'cm_IIIIIIII', '["send"]', NULL, 'bo', '2026-04-10 10:00:00', NULL, '2026-04-11 10:00:00', NULL),
    ('key10', 'mesh01', 'over', repeat('10', 32), 'cm_JJJJJJJJ', '["send"]', NULL, 'bo', '2026-04-10 10:00:00', NULL, NULL, '2026-04-20 12:00:00');

INSERT INTO mesh.webhook (id, mesh_id, name, secret, active, created_by, created_at) VALUES
    ('wh1', 'mesh01', 'ci', repeat('0f', 32), true, 'ann', '2026-04-10 10:00:00'),
    ('wh2', 'mesh01', 'plain', repeat('1f', 32), true, 'bo', '2026-04-10 10:00:00'),
    ('wh3', 'mesh01', 'off', repeat('2f', 32), false, 'ann', '2026-04-10 10:00:00'),
    ('wh4', 'mesh01', 'short', 'abc', true, 'ann', '2026-04-10 10:00:00'),
    ('wh5', 'mesh01', ' ', repeat('3f', 32), true, 'ann', '2026-04-10 10:00:00'),
    ('wh6', 'mesh01', 'whose', repeat('4f', 32), true, 'eve', '2026-04-10 10:00:00');

INSERT INTO mesh.file (id, mesh_id, name, size_bytes, minio_key, deleted_at) VALUES
    ('file1', 'mesh01', 'a.txt', 3, 'shared/x/a.txt', NULL), ('file2', 'mesh01', 'b.txt', 3, 'shared/y/b.txt', '2026-04-10 10:00:00');

INSERT INTO mesh.service (id, mesh_id, name) VALUES ('srv1', 'mesh01', 'weather');

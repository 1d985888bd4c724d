-- +goose Up

-- Conversations of a mesh. The topic general, in which everybody has a seat, is made when somebody first looks for it.
CREATE TABLE broker.topic (
    id          text COLLATE "C" PRIMARY KEY,
    mesh_id     text COLLATE "C" NOT NULL REFERENCES broker.mesh (id),
    name        text COLLATE "C" NOT NULL,        -- archived topics keep theirs
    description text             NOT NULL,
    visibility  text             NOT NULL,        -- public, private or dm
    creator_id  text COLLATE "C" NOT NULL,        -- member, '' when the broker made it or nobody knows
    key_pubkey  text             NOT NULL,        -- x25519 key in hex that copies of the topic's key are sealed with, '' for none
    everybody   boolean          NOT NULL,        -- each member of the mesh has a seat, unless it left
    created_at  timestamptz      NOT NULL,
    archived_at timestamptz,
    UNIQUE (mesh_id, name)
);

CREATE INDEX topic_by_creator ON broker.topic (mesh_id, creator_id);

-- How members stand to topics. Where everybody has a seat, only those have a row of whom something has changed.
CREATE TABLE broker.topic_seat (
    topic_id     text COLLATE "C" NOT NULL REFERENCES broker.topic (id),
    member_id    text COLLATE "C" NOT NULL REFERENCES broker.member (id),
    role         text             NOT NULL,       -- lead, member or observer
    standing     text             NOT NULL,       -- joined, invited or left
    joined_at    timestamptz      NOT NULL,
    last_read_at timestamptz,
    PRIMARY KEY (topic_id, member_id)
);

CREATE INDEX topic_seat_by_member ON broker.topic_seat (member_id);

-- Keys of topics, sealed for one member each. What they open is nobody's here to know.
CREATE TABLE broker.topic_key (
    topic_id   text COLLATE "C" NOT NULL REFERENCES broker.topic (id),
    member_id  text COLLATE "C" NOT NULL REFERENCES broker.member (id),
    encrypted  text             NOT NULL,
    nonce      text             NOT NULL,
    created_at timestamptz      NOT NULL,
    PRIMARY KEY (topic_id, member_id)
);

-- The history of topics. The group commit writes it and what follows, so that they have no foreign keys.
CREATE TABLE broker.topic_message (
    seq              bigint           PRIMARY KEY, -- as in message
    topic_id         text COLLATE "C" NOT NULL,
    mesh_id          text COLLATE "C" NOT NULL,
    id               text COLLATE "C" NOT NULL,
    sender_member_id text COLLATE "C" NOT NULL,
    sender_key       bytea            NOT NULL,
    sender_session   bytea,
    sender_name      text             NOT NULL,
    nonce            bytea            NOT NULL,
    ciphertext       bytea            NOT NULL,
    bytes            bigint           NOT NULL,    -- of both
    body_version     smallint         NOT NULL,
    reply_to         text COLLATE "C",
    created_at       timestamptz      NOT NULL,
    shown_at         timestamptz      NOT NULL     -- when its hold is over
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- Sealed bytes do not get smaller.
ALTER TABLE broker.topic_message ALTER COLUMN ciphertext SET STORAGE EXTERNAL;

CREATE INDEX topic_message_by_topic ON broker.topic_message (topic_id, seq);
CREATE INDEX topic_message_by_id ON broker.topic_message (topic_id, id);

-- What a mesh keeps is counted by this alone.
CREATE INDEX topic_message_by_mesh ON broker.topic_message (mesh_id, seq) INCLUDE (topic_id, bytes);

-- What a message of a topic has to say to one member.
CREATE TABLE broker.notification (
    seq          bigint           NOT NULL,        -- of the message
    member_id    text COLLATE "C" NOT NULL,
    mesh_id      text COLLATE "C" NOT NULL,
    topic_id     text COLLATE "C" NOT NULL,
    message_id   text COLLATE "C" NOT NULL,
    sender_id    text COLLATE "C" NOT NULL,
    sender       text             NOT NULL,        -- its name at that time
    kind         text             NOT NULL,        -- mention
    shown_at     timestamptz      NOT NULL,
    read_at      timestamptz,
    PRIMARY KEY (seq, member_id)
);

CREATE INDEX notification_by_member ON broker.notification (member_id, mesh_id, seq);

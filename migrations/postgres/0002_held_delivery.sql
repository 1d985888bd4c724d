-- +goose Up

-- A delivery that is held back until a time. It is out of the way of everything that looks for what waits; when it is
-- due, it becomes an ordinary row of delivery and leaves this table. Its message is in message from the start.
--
-- A program that does not know this table works beside one that does: what it does not see is released by the other.
CREATE TABLE broker.held_delivery (
    seq        bigint           NOT NULL,           -- of its message
    recipient  bytea            NOT NULL,           -- as in delivery, like the next three
    mesh_id    text COLLATE "C" NOT NULL,
    member_id  text COLLATE "C" NOT NULL,
    priority   smallint         NOT NULL,
    not_before timestamptz      NOT NULL,           -- when it is due
    expires_at timestamptz      NOT NULL,           -- counted from not_before
    PRIMARY KEY (seq, recipient)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- What is due first, in the order in which it is released.
CREATE INDEX held_delivery_by_time ON broker.held_delivery (not_before, seq, recipient);

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// tableLock is held by who makes the table, so that nodes that start together do
// not collide. The number is random.
const tableLock = 6_108_274_511_903_377_512

// schemaExists asks before the schema is made, which needs a privilege that the
// broker's role may lack where somebody else has made it.
const schemaExists = `select exists (select from pg_namespace where nspname = 'broker')`

// makeTable is for payloads that no NOTIFY holds. They are mostly sealed, so it
// is vain to compress them.
const makeTable = `
create unlogged table if not exists broker.bus_payload (
	sender     bigint      not null, -- random, one per start of a node
	id         bigint      not null, -- counted by the sender
	data       bytea       not null,
	created_at timestamptz not null default now(),
	primary key (sender, id)
);
alter table broker.bus_payload alter column data set storage external`

const storePayloads = `
insert into broker.bus_payload (sender, id, data)
select $1, id, data from unnest($2::bigint[], $3::bytea[]) as payload (id, data)`

const fetchPayload = `select data from broker.bus_payload where sender = $1 and id = $2`

// A listener that is further behind than this has lost the message.
const dropOldPayloads = `delete from broker.bus_payload where created_at < now() - interval '1 minute'`

// prepareTable makes the table unless it is there.
func prepareTable(ctx context.Context, conn *pgx.Conn) error {
	var there bool
	if err := conn.QueryRow(ctx, `select to_regclass('broker.bus_payload') is not null`).Scan(&there); err != nil || there {
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1)`, int64(tableLock)); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, schemaExists).Scan(&there); err != nil {
			return err
		}
		if !there {
			if _, err := tx.Exec(ctx, `create schema broker`); err != nil {
				return fmt.Errorf("make the schema broker, or run the migrations first: %w", err)
			}
		}
		if _, err := tx.Exec(ctx, makeTable); err != nil {
			return fmt.Errorf("make the table broker.bus_payload; the role needs CREATE on the schema broker: %w", err)
		}
		return nil
	})
}

// fetch reads a stored payload. It returns pgx.ErrNoRows when it is gone.
func fetch(ctx context.Context, conn *pgx.Conn, sender, id uint64) (data []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := conn.QueryRow(ctx, fetchPayload, int64(sender), int64(id)).Scan(&data); err != nil {
		return nil, fmt.Errorf("read a payload: %w", err)
	}
	return data, nil
}

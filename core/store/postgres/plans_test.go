package postgres

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claudemesh/broker/core/store"
)

// grown are tables as a busy broker has them: 100,000 rows each, of which one
// in a hundred deliveries waits and one in a hundred presences is open.
const grown = `
INSERT INTO mesh SELECT 'mesh' || i, 'slug' || i, 'name', sha256(i::text::bytea), '', '', '{}', now()
	FROM generate_series(1, 20) i;
INSERT INTO member SELECT 'member' || i, 'mesh' || i % 20 + 1, sha256(i::text::bytea), 'name', 'member', '', '[]', 'push', '{}', now()
	FROM generate_series(1, 2000) i;
INSERT INTO invite SELECT 'invite' || i, 'mesh' || i % 20 + 1, 'token' || i, NULL, 1, 0, 'member', '{}', now(), now()
	FROM generate_series(1, 2000) i;
UPDATE invite SET token = 'sha256:' || encode(sha256(token::bytea), 'hex'), sealed_token = 'sealed' WHERE right(id, 2) <> '00';
INSERT INTO account SELECT 'account' || i, '', '', now(), NULL, false FROM generate_series(1, 2000) i;
UPDATE member SET account_id = 'account' || right(id, 2) WHERE right(id, 1) = '0';
INSERT INTO token SELECT 'token' || i, 'account' || i % 2000 + 1, sha256(i::text::bytea), 'device', '', '', '', now(), now()
	FROM generate_series(1, 10000) i;
INSERT INTO sign_in SELECT 'signin' || i, sha256(i::text::bytea), 'code' || i, '', '', '', '', now(), now() FROM generate_series(1, 10000) i;
INSERT INTO one_time_code SELECT sha256(i::text::bytea), 'account1', now() FROM generate_series(1, 10000) i;
INSERT INTO session_key SELECT 'mesh' || i % 20 + 1, sha256(i::text::bytea), 'member', now() FROM generate_series(1, 100000) i;
INSERT INTO peer_state SELECT 'mesh' || i % 20 + 1, 'member' || i / 5, sha256(i::text::bytea), '[]', '{}', true, '', '', '', now(), '{}', now()
	FROM generate_series(1, 100000) i;
INSERT INTO presence SELECT 'presence' || i, 'mesh' || i % 20 + 1, 'member', sha256(i::text::bytea), '', '', '', 1, '', now(),
	CASE WHEN i % 100 > 0 THEN now() - i * interval '1 minute' END, 'node' || i % 3, 1 FROM generate_series(1, 100000) i;
INSERT INTO message SELECT i, 'id' || md5(i::text), 'mesh' || i % 20 + 1, 'member', sha256(i::text::bytea), NULL, '', '*', i % 3,
	'n', 'c', NULL, NULL, NULL, NULL, now(), now() + i * interval '1 second' FROM generate_series(1, 100000) i;
INSERT INTO delivery SELECT i, sha256((i % 500)::text::bytea), 'mesh' || i % 20 + 1, 'member', i % 3, now() + i * interval '1 second',
	CASE WHEN i % 100 > 0 THEN now() END FROM generate_series(1, 100000) i;
INSERT INTO held_delivery SELECT i, sha256((i % 500)::text::bytea), 'mesh' || i % 20 + 1, 'member', i % 3, now() + i * interval '1 second',
	now() + i * interval '1 minute' FROM generate_series(1, 100000) i;
INSERT INTO sent SELECT i, 'mesh' || i % 20 + 1, 'member' || i % 100, 'client' || i, 'id', NULL FROM generate_series(1, 100000) i;
INSERT INTO audit_log SELECT 'mesh' || i % 20 + 1, i, 'message_sent', 'member' || i % 100, '', '{}', now(), md5(i::text), md5(i::text)
	FROM generate_series(1, 100000) i;
INSERT INTO audit_head SELECT 'mesh' || i, md5(i::text), 5000, 100000 FROM generate_series(1, 20) i;
INSERT INTO memory SELECT 'memory' || i, 'mesh' || i % 20 + 1, 'content', '[]', sha256(i::text::bytea),
	to_tsvector('pg_catalog.english', 'word' || i % 100 || ' common') || array_to_tsvector(ARRAY['=mesh' || i % 20 + 1]), 'member' || i % 100,
	'', now() FROM generate_series(1, 20000) i;
INSERT INTO shared_state SELECT 'mesh' || i % 20 + 1, 'key' || i, 'member' || i % 100, '', now(), '{}' FROM generate_series(1, 20000) i;
INSERT INTO context SELECT 'mesh' || i % 20 + 1, 'member' || i, '', '', 'summary', 'summary', '[]', '[]', '{}', now() + i * interval '1 second'
	FROM generate_series(1, 20000) i;
INSERT INTO task SELECT 'task' || i, 'mesh' || i % 20 + 1, CASE i % 10 WHEN 0 THEN 'open' ELSE 'done' END, '', '', '[]', 'member' || i % 100, '',
	now() + i * interval '1 second', '', '', '', NULL, NULL, sha256(i::text::bytea), 'title', '' FROM generate_series(1, 20000) i;
INSERT INTO schedule SELECT 'schedule' || i, 'mesh' || i % 20 + 1, 'member' || i % 1000, '*', '', 'plain', '', '', '', '', now(), now(), 0, NULL,
	'', CASE WHEN i % 10 > 0 THEN now() - i * interval '1 minute' END, CASE WHEN i % 10 > 0 THEN 'fired' ELSE 'waiting' END,
	now() + i * interval '1 minute', '', 0, sha256(i::text::bytea) FROM generate_series(1, 20000) i;
INSERT INTO node SELECT 'node' || i, i, 'host', 'v', now(), now() FROM generate_series(1, 3) i;
INSERT INTO signal (node, kind, payload, at) SELECT '', 'k', '{}', now() - i * interval '1 second' FROM generate_series(1, 10000) i;
INSERT INTO used_token SELECT sha256(i::text::bytea), now() + i * interval '1 second' FROM generate_series(1, 10000) i;
`

// plans are the queries that run while peers wait, or on tables that grow, with
// arguments as they come.
func plans() map[string]planned {
	key, keys := make([]byte, 32), [][]byte{make([]byte, 32), []byte("another")}
	now := time.Now()
	list := map[string]planned{
		"Pending":           {pending, []any{"mesh1", keys, []int64{0, 0}, int16(0), int16(2), now, 128}},
		"Waiting":           {waiting, []any{"mesh1", keys}},
		"FindSent":          {findSent, []any{"mesh1", "member1", "client1"}},
		"MessageStatus":     {messagesByPrefix, []any{"mesh1", "id1234", "id1234\x7f"}},
		"its deliveries":    {deliveriesOf, []any{int64(1)}},
		"LastSeq":           {lastSeq, nil},
		"QueueDepth":        {queueDepth, nil},
		"Expire":            {expire, []any{now, 1000}},
		"NextRelease":       {nextRelease, nil},
		"Release":           {release, []any{now, 256}},
		"pruning messages":  {pruneMessages, []any{int64(50000), 1000}},
		"pruning sends":     {pruneSent, []any{int64(50000), 1000}},
		"Member":            {memberByKey, []any{"mesh1", key}},
		"MemberByID":        {memberByID, []any{"member1"}},
		"SessionKeyOwner":   {sessionKeyOwner, []any{"mesh1", key}},
		"State":             {readState, []any{"mesh1", "member1", key}},
		"Value":             {valueByKey, []any{"mesh1", "key20"}},
		"ListValues":        {listValues, []any{"mesh1", "key20", 64}},
		"ValueKeys":         {valueKeys, []any{"mesh1"}},
		"SetValue":          {changeValue, []any{"mesh1", "key20", "member1", "", now, "{}", "member20"}},
		"a new one":         {countValues, []any{"mesh1", "member1"}},
		"DeleteValue":       {deleteValue, []any{"mesh1", "key20", "member20"}},
		"InviteByToken":     {inviteByToken, []any{store.TokenColumn(store.HashInvite("token1")), shortHash("token1")}},
		"PlainInvites":      {plainInvites, []any{"", 100}},
		"SealInvites":       {sealInvite, []any{"invite1", shortHash("token1"), "sealed", "sha256:x", "sha256:y"}},
		"ListInvites":       {listInvites, []any{"mesh1", 20}},
		"CreateToken":       {goodTokensOf, []any{"account1", now}},
		"CodeAccount":       {codeAccount, []any{key, now}},
		"InviteByCode":      {inviteByCode, []any{"code1"}},
		"TokenByHash":       {tokenByHash, []any{key}},
		"TouchToken":        {touchToken, []any{"token1", now}},
		"ListTokens":        {tokensOf, []any{now, "account1"}},
		"AccountMember":     {accountMember, []any{"mesh1", "account1"}},
		"their members":     {accountMembers, []any{"account1"}},
		"SignInByDevice":    {signInByDevice, []any{key}},
		"SignInByCode":      {signInByUserCode, []any{"code1"}},
		"SpendCode":         {spendCode, []any{key, now}},
		"AuditPage":         {auditPage, []any{"mesh1", "", "", 50, 0}},
		"its count":         {countAudit, []any{"mesh1", "", ""}},
		"AuditChain":        {auditChain, []any{"mesh1"}},
		"AuditHead":         {auditHead, []any{"mesh1"}},
		"AuditEnds":         {auditEnds, []any{[]string{"mesh1", "mesh2"}}},
		"FindContexts":      {findContexts, []any{"mesh1", "query", "query", []string{"member1"}, 20}},
		"ListContexts":      {listContexts, []any{"mesh1", []string{"member1"}, 100}},
		"CreateTask":        {sameRequest, []any{"mesh1", key}},
		"counts of tasks":   {countTasks, []any{"mesh1"}},
		"of their creator":  {countUnfinished, []any{"mesh1", "member1"}},
		"CountTasks":        {countByStatus, []any{"mesh1"}},
		"CountMemories":     {countMemoriesIn, []any{"mesh1"}},
		"room for a task":   {deleteOldest, []any{"mesh1"}},
		"Task":              {taskByID, []any{"task1"}},
		"ListTasks":         {listTasks, []any{"mesh1", "", "", []string{"member1"}, 100}},
		"ChangeTask":        {changeTask, []any{"task1", "open", "", "", "", now, "", now}},
		"CreateSchedule":    {sameSchedule, []any{"mesh1", key}},
		"those of a mesh":   {countSchedules, []any{"mesh1"}},
		"those of a member": {countSchedulesOf, []any{"member1"}},
		"room for ended":    {trimSchedules, []any{"member1", 20}},
		"ListSchedules":     {listSchedules, []any{"member1", "mesh1"}},
		"NextSchedule":      {nextSchedule, nil},
		"ClaimSchedules":    {claimSchedules, []any{"node", now, now, 16}},
		"PruneSchedules":    {pruneSchedules, []any{now.Add(-1000 * time.Hour), 100}},
		"Remember":          {sameMemory, []any{"mesh1", "member1", key}},
		"its counts":        {countMemories, []any{"mesh1", "member1"}},
		"Recall":            {recall, []any{"mesh1", "word1 common", []string{"member1"}, 20}},
		"Memory":            {memoryByID, []any{"memory1", "mesh1"}},
		"Forget":            {forgetMemory, []any{"memory1", "mesh1", now}},
		"QueueByMesh":       {queueByMesh, []any{100}},
		"OpenPresences":     {openPresences, nil},
		"PresencesByID":     {presencesByID, []any{[]string{"presence1", "presence2"}}},
		"closing presences": {closePresences, []any{now}},
		"pruning presences": {prunePresences, []any{now.Add(-1000 * time.Hour)}},
		"SignalsAfter":      {signalsAfter, []any{int64(9000), 100}},
		"LastSignal":        {lastSignal, nil},
		"pruning signals":   {pruneSignals, []any{now.Add(-2 * time.Hour), []string{}}},
		"forgetting tokens": {forgetTokens, nil},
		"message witness":   {messageWitness, []any{int64(1), "id"}},
		"audit witness":     {auditWitness, []any{"mesh1", int64(1), "hash"}},
	}
	for _, st := range batchStatements {
		if len(st.columns) > 0 {
			list[st.name] = planned{st.query, arrays(st.columns)}
		}
	}
	maps.Copy(list, featurePlans())
	return list
}

type planned struct {
	query string
	args  []any
}

// arrays are 256 elements for each column.
func arrays(columns []column) (args []any) {
	const n = 256
	for i, c := range columns {
		switch c {
		case int2Column:
			args = append(args, make([]int16, n))
		case int8Column:
			args = append(args, make([]int64, n))
		case boolColumn:
			args = append(args, make([]bool, n))
		case bytesColumn:
			args = append(args, make([][]byte, n))
		case timeColumn:
			args = append(args, make([]time.Time, n))
		case textColumn:
			list := make([]string, n)
			for j := range list {
				list[j] = fmt.Sprint("text ", i, j)
			}
			args = append(args, list)
		}
	}
	return args
}

// Every hot query finds its rows by an index, whether it is planned for the
// arguments at hand or once for all, and also when the planner is left alone.
func TestQueriesUseIndexes(t *testing.T) {
	s := fresh(t, Options{Durability: Process})
	ctx := t.Context()
	for _, query := range append(strings.SplitAfter(grown+grownFeatures, ";"), "VACUUM ANALYZE") {
		if _, err := s.pool.Exec(ctx, query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, settings := range []string{
		"SET plan_cache_mode = force_custom_plan",
		"SET plan_cache_mode = force_generic_plan",
		"SET enable_seqscan = on; SET enable_hashjoin = on; SET enable_mergejoin = on; SET plan_cache_mode = force_custom_plan",
		"SET plan_cache_mode = force_generic_plan",
	} {
		if _, err := conn.Exec(ctx, settings, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
		for name, q := range plans() {
			t.Run(name, func(t *testing.T) {
				steps, err := explain(ctx, conn.Conn(), q, strings.Contains(settings, "generic"))
				if err != nil {
					t.Fatal(err)
				}
				for _, step := range steps {
					counts := (name == "QueueDepth" || name == "QueueByMesh") && strings.Contains(step, "Seq Scan on held_delivery") // all of them
					if strings.Contains(step, "Seq Scan") && !harmless(step) && !counts {
						t.Errorf("after %q:\n%s", settings, strings.Join(steps, "\n"))
						break
					}
				}
			})
		}
	}
}

// A drain reads what waits for its keys and nothing else, also when the planner
// believes that nothing waits at all: before the table is analyzed, and when it
// was at a quiet moment.
func TestDrainsReadTheirKeysOnly(t *testing.T) {
	s := fresh(t, Options{Durability: Process})
	ctx := t.Context()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	check := func(when string) {
		t.Helper()
		for _, name := range []string{"Pending", "Waiting"} {
			steps, err := explain(ctx, conn.Conn(), plans()[name], false)
			if err != nil {
				t.Fatal(err)
			}
			if plan := strings.Join(steps, "\n"); !strings.Contains(plan, "using delivery_pending") {
				t.Errorf("%s, %s:\n%s", name, when, plan)
			}
		}
	}
	const settled, settling = "i % 100 > 0 THEN now() END FROM", "false THEN now() END FROM"
	waiting := strings.Replace(grown, settled, settling, 1)
	if waiting == grown {
		t.Fatal("the deliveries are made in another way: change this test")
	}
	for _, query := range strings.SplitAfter(waiting, ";") {
		if _, err := conn.Exec(ctx, query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	check("not analyzed")
	for _, query := range []string{"UPDATE delivery SET settled_at = now()", "ANALYZE"} {
		if _, err := conn.Exec(ctx, query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	check("analyzed when nothing waits")
}

// explain returns the plan of a query, for its arguments or for any.
func explain(ctx context.Context, conn *pgx.Conn, q planned, generic bool) ([]string, error) {
	if _, err := conn.Exec(ctx, "DEALLOCATE ALL", pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, err
	}
	if !generic {
		rows, err := conn.Query(ctx, "EXPLAIN "+q.query, append([]any{pgx.QueryExecModeDescribeExec}, q.args...)...)
		return collect(rows, err, value[string])
	}
	if _, err := conn.Exec(ctx, "PREPARE planned AS "+q.query, pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, err
	}
	execute := "EXPLAIN EXECUTE planned"
	if len(q.args) > 0 {
		execute += "(NULL" + strings.Repeat(", NULL", len(q.args)-1) + ")"
	}
	rows, err := conn.Query(ctx, execute, pgx.QueryExecModeSimpleProtocol)
	return collect(rows, err, value[string])
}

// harmless reports whether a scan is of a table that stays small.
func harmless(step string) bool {
	for _, table := range []string{"queue_mark", "node", "audit_head"} {
		if strings.Contains(step, "Seq Scan on "+table) {
			return true
		}
	}
	return false
}

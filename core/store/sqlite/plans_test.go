package sqlite

import (
	"strings"
	"testing"
)

// plan returns how SQLite answers a query, one step after the other.
func plan(t *testing.T, s *Store, query string, args int) string {
	t.Helper()
	values := make([]any, args)
	for i := range values {
		values[i] = 1
	}
	rows, err := s.read.Query("EXPLAIN QUERY PLAN "+query, values...)
	steps, err := collect(rows, err, func(row scanner) (step string, err error) {
		var ignored int
		err = row.Scan(&ignored, &ignored, &ignored, &step)
		return step, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "; ")
}

// Each query that runs while peers wait, or on tables that grow, finds its rows
// by an index, and in the order that it returns them in.
func TestQueriesUseIndexes(t *testing.T) {
	s := fresh(t, Options{})
	for name, tt := range map[string]struct {
		query string
		args  int
		want  string
	}{
		"Pending": {pending, 7, "SEARCH d USING COVERING INDEX delivery_pending " +
			"(mesh_id=? AND recipient=? AND (priority,seq)>(?,?) AND priority<?); " +
			"SEARCH m USING INTEGER PRIMARY KEY (rowid=?)"},
		"Totals":        {keptMessages, 0, "SCAN topic_message USING COVERING INDEX topic_message_by_topic"},
		"FindSent":      {findSent, 3, "SEARCH sent USING INDEX sqlite_autoindex_sent_1 (mesh_id=? AND member_id=? AND client_message_id=?)"},
		"MessageStatus": {messagesByPrefix, 3, "SEARCH m USING INDEX message_by_id (mesh_id=? AND id>? AND id<?)"},
		"NextRelease":   {nextRelease, 0, "SEARCH held_delivery USING COVERING INDEX held_delivery_by_time"},
		"Release":       {dueNow, 2, "SEARCH held_delivery USING INDEX held_delivery_by_time (not_before<?)"},
		"its rows":      {release, 2, "SEARCH held_delivery USING PRIMARY KEY (seq=? AND recipient=?)"},
		"their end":     {unhold, 2, "SEARCH held_delivery USING PRIMARY KEY (seq=? AND recipient=?)"},
		"its deliveries": {deliveriesOf, 1, "MERGE (UNION ALL); LEFT; SEARCH delivery USING PRIMARY KEY (seq=?); " +
			"RIGHT; SEARCH held_delivery USING PRIMARY KEY (seq=?)"},
		"Member":          {memberByKey, 2, "SEARCH member USING INDEX sqlite_autoindex_member_2 (mesh_id=? AND pubkey=?)"},
		"MemberByID":      {memberByID, 1, "SEARCH member USING PRIMARY KEY (id=?)"},
		"SessionKeyOwner": {sessionKeyOwner, 2, "SEARCH session_key USING PRIMARY KEY (mesh_id=? AND pubkey=?)"},
		"State":           {readState, 3, "SEARCH peer_state USING PRIMARY KEY (mesh_id=? AND member_id=? AND session_key=?)"},
		"Value":           {valueByKey, 2, "SEARCH shared_state USING INDEX sqlite_autoindex_shared_state_1 (mesh_id=? AND key=?)"},
		"ListValues":      {listValues, 3, "SEARCH shared_state USING INDEX sqlite_autoindex_shared_state_1 (mesh_id=? AND key>?)"},
		"ValueKeys":       {valueKeys, 1, "SEARCH shared_state USING INDEX sqlite_autoindex_shared_state_1 (mesh_id=?)"},
		"SetValue":        {changeValue, 7, "SEARCH shared_state USING INDEX sqlite_autoindex_shared_state_1 (mesh_id=? AND key=?)"},
		"a new one":       {countValues, 2, "SEARCH shared_state USING INDEX sqlite_autoindex_shared_state_1 (mesh_id=?)"},
		"DeleteValue":     {deleteValue, 3, "SEARCH shared_state USING INDEX sqlite_autoindex_shared_state_1 (mesh_id=? AND key=?)"},
		"InviteByToken":   {inviteByToken, 2, "SEARCH invite USING INDEX sqlite_autoindex_invite_2 (token=?)"},
		"PlainInvites":    {plainInvites, 2, "SEARCH invite USING INDEX invite_unsealed (id>?)"},
		"SealInvites": {sealInvite, 5, "SEARCH invite USING INDEX sqlite_autoindex_invite_2 (token=?); " +
			"SCALAR SUBQUERY 1; SEARCH invite USING COVERING INDEX sqlite_autoindex_invite_2 (token=?)"},
		"ListInvites":    {listInvites, 2, "SEARCH invite USING INDEX invite_by_mesh (mesh_id=?)"},
		"CreateToken":    {goodTokensOf, 2, "SEARCH token USING INDEX token_by_account (account_id=?)"},
		"CodeAccount":    {codeAccount, 2, "SEARCH one_time_code USING PRIMARY KEY (hash=?)"},
		"InviteByCode":   {inviteByCode, 1, "SEARCH invite USING INDEX sqlite_autoindex_invite_3 (code=?)"},
		"TokenByHash":    {tokenByHash, 1, "SEARCH token USING INDEX sqlite_autoindex_token_2 (hash=?); SEARCH account USING PRIMARY KEY (id=?)"},
		"TouchToken":     {touchToken, 2, "SEARCH token USING PRIMARY KEY (id=?)"},
		"AccountMember":  {accountMember, 2, "SEARCH member USING INDEX member_by_account (account_id=? AND mesh_id=?); USE TEMP B-TREE FOR ORDER BY"},
		"SignInByDevice": {signInByDevice, 1, "SEARCH sign_in USING INDEX sqlite_autoindex_sign_in_2 (device_hash=?)"},
		"SignInByCode":   {signInByUserCode, 1, "SEARCH sign_in USING INDEX sqlite_autoindex_sign_in_3 (user_code=?)"},
		"SpendCode":      {spendCode, 2, "SEARCH one_time_code USING PRIMARY KEY (hash=?)"},
		"forgetting tokens": {forgetTokens, 1, "SEARCH used_token USING PRIMARY KEY (token=?); LIST SUBQUERY 1; " +
			"SEARCH used_token USING COVERING INDEX used_token_by_end (until<?)"},
		"ListTokens": {tokensOf, 2, "SEARCH token USING INDEX token_by_account (account_id=?); USE TEMP B-TREE FOR ORDER BY"},
		"AccountMeshes": {accountMeshes, 1, "SEARCH mesh USING PRIMARY KEY (id=?); LIST SUBQUERY 3; MERGE (UNION); " +
			"LEFT; SEARCH mesh USING COVERING INDEX mesh_by_owner_account (owner_account=?); " +
			"RIGHT; SEARCH member USING INDEX member_by_account (account_id=?); " +
			"CORRELATED SCALAR SUBQUERY 1; SEARCH member USING INDEX sqlite_autoindex_member_2 (mesh_id=?); USE TEMP B-TREE FOR ORDER BY"},
		"their members": {accountMembers, 1, "SEARCH member USING INDEX member_by_account (account_id=?); USE TEMP B-TREE FOR LAST 3 TERMS OF ORDER BY"},
		"settle":        {settle, 3, "SEARCH delivery USING PRIMARY KEY (seq=? AND recipient=?)"},
		"Expire":        {expired, 2, "SCAN d USING COVERING INDEX delivery_pending"},
		"its update":    {expire, 3, "SEARCH d USING PRIMARY KEY (seq=? AND recipient=?)"},
		"AuditPage":     {auditPage, 5, "SEARCH audit_log USING PRIMARY KEY (mesh_id=?)"},
		"its count":     {countAudit, 3, "SEARCH audit_log USING PRIMARY KEY (mesh_id=?)"},
		"AuditChain":    {auditChain, 1, "SEARCH audit_log USING PRIMARY KEY (mesh_id=?)"},
		"AuditHead":     {auditHead, 1, "SEARCH audit_head USING PRIMARY KEY (mesh_id=?)"},
		"AuditEnds": {auditEnds, 1, "SEARCH h USING PRIMARY KEY (mesh_id=?); LIST SUBQUERY 1; SCAN json_each VIRTUAL TABLE INDEX 1:; " +
			"SEARCH l USING PRIMARY KEY (mesh_id=? AND id=?) LEFT-JOIN"},
		"FindContexts": {findContexts, 5, "SEARCH context USING INDEX context_by_time (mesh_id=?); " +
			"LIST SUBQUERY 2; SCAN json_each VIRTUAL TABLE INDEX 1:; CREATE BLOOM FILTER; CORRELATED SCALAR SUBQUERY 1; SCAN json_each VIRTUAL TABLE INDEX 1:"},
		"ListContexts": {listContexts, 3, "SEARCH context USING INDEX context_by_time (mesh_id=?); " +
			"LIST SUBQUERY 1; SCAN json_each VIRTUAL TABLE INDEX 1:; CREATE BLOOM FILTER"},
		"CreateTask":       {sameRequest, 2, "SEARCH task USING INDEX task_by_request (mesh_id=? AND request=?)"},
		"counts of tasks":  {countTasks, 1, "SEARCH task USING COVERING INDEX task_by_status (mesh_id=?)"},
		"of their creator": {countUnfinished, 2, "SEARCH task USING COVERING INDEX task_unfinished (mesh_id=? AND creator_id=?)"},
		"CountTasks":       {countByStatus, 1, "SEARCH task USING COVERING INDEX task_by_status (mesh_id=?)"},
		"room for a task":  {deleteOldest, 1, "SEARCH task USING INDEX sqlite_autoindex_task_1 (id=?); SCALAR SUBQUERY 1; SEARCH task USING COVERING INDEX task_by_status (mesh_id=? AND status=?)"},
		"Task":             {taskByID, 1, "SEARCH task USING INDEX sqlite_autoindex_task_1 (id=?)"},
		"ListTasks": {listTasks, 5, "SEARCH task USING INDEX task_by_time (mesh_id=?); " +
			"LIST SUBQUERY 1; SCAN json_each VIRTUAL TABLE INDEX 1:; CREATE BLOOM FILTER"},
		"ChangeTask":          {changeTask, 8, "SEARCH task USING INDEX sqlite_autoindex_task_1 (id=?)"},
		"CreateSchedule":      {sameSchedule, 2, "SEARCH schedule USING INDEX schedule_by_request (mesh_id=? AND request=?)"},
		"schedules of a mesh": {countSchedules, 1, "SEARCH schedule USING COVERING INDEX schedule_by_mesh (mesh_id=?)"},
		"those of a member":   {countSchedulesOf, 1, "SEARCH schedule USING COVERING INDEX schedule_by_member (member_id=? AND state=?)"},
		"room for a schedule": {trimSchedules, 2, "SEARCH schedule USING COVERING INDEX sqlite_autoindex_schedule_1 (id=?); LIST SUBQUERY 1; " +
			"SEARCH schedule USING COVERING INDEX schedule_by_member (member_id=? AND state=?); USE TEMP B-TREE FOR ORDER BY"},
		"ListSchedules": {listSchedules, 2, "SEARCH schedule USING INDEX schedule_by_member (member_id=?); USE TEMP B-TREE FOR ORDER BY"},
		"NextSchedule":  {nextSchedule, 0, "SEARCH schedule USING COVERING INDEX schedule_by_wake"},
		"ClaimSchedules": {claimSchedules, 4, "SEARCH schedule USING COVERING INDEX sqlite_autoindex_schedule_1 (id=?); LIST SUBQUERY 1; " +
			"SEARCH schedule USING COVERING INDEX schedule_by_wake (wake_at<?)"},
		"PruneSchedules": {pruneSchedules, 2, "SEARCH schedule USING COVERING INDEX sqlite_autoindex_schedule_1 (id=?); LIST SUBQUERY 1; " +
			"SEARCH schedule USING INDEX schedule_by_end (ended_at<?)"},
		"Remember":      {sameMemory, 3, "SEARCH memory USING INDEX memory_once (mesh_id=? AND member_id=? AND digest=?)"},
		"its counts":    {countMemories, 1, "SEARCH memory USING COVERING INDEX memory_once (mesh_id=?)"},
		"of the member": {countMemoriesOf, 2, "SEARCH memory USING COVERING INDEX memory_once (mesh_id=? AND member_id=?)"},
		"Recall": {recall, 4, "SCAN memory_words VIRTUAL TABLE INDEX 0:M2; SEARCH m USING INTEGER PRIMARY KEY (rowid=?); " +
			"LIST SUBQUERY 1; SCAN json_each VIRTUAL TABLE INDEX 1:; CREATE BLOOM FILTER; USE TEMP B-TREE FOR ORDER BY"},
		"Memory": {memoryByID, 2, "SEARCH memory USING INDEX sqlite_autoindex_memory_1 (id=?)"},
		"Forget": {forgetMemory, 2, "SEARCH memory USING INDEX sqlite_autoindex_memory_1 (id=?)"},
		"QueueByMesh": {queueByMesh, 1, "CO-ROUTINE q; CO-ROUTINE w; COMPOUND QUERY; LEFT-MOST SUBQUERY; " +
			"SCAN d USING COVERING INDEX delivery_pending; UNION ALL; SCAN held_delivery; USE TEMP B-TREE FOR GROUP BY; SCAN w; " +
			"USE TEMP B-TREE FOR GROUP BY; USE TEMP B-TREE FOR ORDER BY; SCAN q; SEARCH m USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN"},
		"closing presences": {closePresences, 1, "SEARCH presence USING INDEX presence_by_end (disconnected_at=?)"},
		"pruning presences": {prunePresences, 1, "SEARCH presence USING INDEX presence_by_end (disconnected_at<?)"},
		"what can be pruned": {prunable, 2, "SEARCH m USING INTEGER PRIMARY KEY (rowid<?); " +
			"CORRELATED SCALAR SUBQUERY 1; SEARCH d USING PRIMARY KEY (seq=?); " +
			"CORRELATED SCALAR SUBQUERY 2; SEARCH h USING PRIMARY KEY (seq=?)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := plan(t, s, tt.query, tt.args); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	for name, query := range map[string]string{
		"pruned deliveries": pruneDeliveries, "pruned messages": pruneMessages, "pruned sends": pruneSent,
		"end of chain": endOfChain, "last seq": lastSeq, "queue depth": queueDepth,
	} {
		t.Run(name, func(t *testing.T) {
			for step := range strings.SplitSeq(plan(t, s, query, strings.Count(query, "?")), "; ") {
				if strings.HasPrefix(step, "SCAN") && !harmless(step) {
					t.Errorf("got %q", step)
				}
			}
		})
	}
}

// harmless reports whether a scan is of one row, or of nothing but what waits.
func harmless(step string) bool {
	for _, s := range []string{
		"SCAN queue_mark", "SCAN CONSTANT ROW", "SCAN (subquery-", "SCAN waits", "SCAN held",
		"SCAN d USING COVERING INDEX delivery_pending", "SCAN held_delivery USING COVERING INDEX held_delivery_by_time",
	} {
		if strings.HasPrefix(step, s) {
			return true
		}
	}
	return false
}

package postgres

import "time"

// grownFeatures are tables of features as busy meshes have them, beside [grown].
const grownFeatures = `
INSERT INTO topic SELECT 'topic' || i, 'mesh' || i % 20 + 1, 'name' || i, '', 'private', 'member' || i, '', false, now(), NULL
	FROM generate_series(1, 2000) i;
INSERT INTO topic_seat SELECT 'topic' || i % 2000 + 1, 'member' || (i - 1) / 10 + 1, 'member', 'joined', now(), NULL
	FROM generate_series(1, 20000) i;
INSERT INTO topic_key SELECT 'topic' || i % 2000 + 1, 'member' || (i - 1) / 10 + 1, '', '', now() FROM generate_series(1, 20000) i;
INSERT INTO topic_message SELECT i, 'topic' || i % 2000 + 1, 'mesh' || i % 20 + 1, 'id' || i, 'member' || i % 2000 + 1, sha256(i::text::bytea),
	NULL, '', '', '', 10, 1, NULL, now(), now() FROM generate_series(1, 20000) i;
INSERT INTO notification SELECT i, 'member' || i % 2000 + 1, 'mesh' || i % 20 + 1, 'topic' || i % 2000 + 1, 'id' || i, '', '', 'mention', now(), NULL
	FROM generate_series(1, 20000) i;
INSERT INTO webhook SELECT 'webhook' || i, 'mesh' || i % 20 + 1, 'name' || i, 'member1', '', '*', '', '', now(), sha256(i::text::bytea),
	CASE WHEN i % 10 = 0 THEN sha256(('old' || i)::bytea) END, CASE WHEN i % 10 = 0 THEN now() END FROM generate_series(1, 20000) i;
INSERT INTO file SELECT 'file' || i, 'mesh' || i % 20 + 1, 'name', 'name', 10, 10, '', '[]', true, false, '', 'member' || i % 2000 + 1, '', now(),
	now(), now() + i * interval '1 minute', CASE WHEN i % 10 = 0 THEN now() END, NULL, sha256(i::text::bytea), NULL
	FROM generate_series(1, 20000) i;
INSERT INTO file_piece SELECT 'file' || i, 0, 10, 'object' FROM generate_series(1, 20000) i;
INSERT INTO api_key SELECT 'key' || i, 'mesh' || i % 20 + 1, 'member' || i % 2000 + 1, '', '', sha256(i::text::bytea), '["read"]', '[]', now(),
	NULL, NULL, NULL FROM generate_series(1, 20000) i;
`

// featurePlans are the queries of features, as [plans] are.
func featurePlans() map[string]planned {
	key, now, nobody := make([]byte, 32), time.Now(), []string{}
	return map[string]planned{
		"FindTopic":            {topicByID, []any{"topic1", "mesh2"}},
		"by its name":          {topicNamed, []any{"mesh2", "name1"}},
		"CreateTopic":          {countTopicsOf, []any{"mesh2", "member1"}},
		"Seat":                 {seatByMember, []any{"topic1", "member1", "mesh2"}},
		"Seats":                {`SELECT ` + seatColumns + seatsOf + byName, []any{"topic1", "mesh2"}},
		"UnsealedSeats":        {`SELECT ` + seatColumns + seatsOf + unsealed, []any{"topic1", "mesh2", 10}},
		"whether anybody sits": {nobodySits, []any{"topic1"}},
		"TopicKey":             {topicKey, []any{"topic1", "member1"}},
		"ClaimTopicKey":        {claimTopicKey, []any{"key", "topic1"}},
		"TopicHistory":         {newestMessages, []any{"topic1", now, nobody, 20}},
		"before a message":     {messagesBefore, []any{"topic1", now, nobody, 20, "id1"}},
		"after a message":      {messagesAfter, []any{"topic1", now, nobody, 20, "id1"}},
		"HasTopicMessage":      {hasTopicMessage, []any{"topic1", "id1"}},
		"Notifications":        {listNotifications, []any{"member1", "mesh1", now, true, 20}},
		"ReadNotifications":    {readNotifications, []any{now, "member1", "mesh1", false, nobody}},
		"pruning history":      {deleteTopicMessages, []any{[]int64{1, 2}}},
		"their notifications":  {deleteNotifications, []any{[]int64{1, 2}}},

		"Webhook":        {webhookByName, []any{"mesh2", "name1"}},
		"WebhookSecret":  {webhookBySecret, []any{key}},
		"the one before": {webhookByOld, []any{key, now}},
		"ListWebhooks":   {listWebhooks, []any{"mesh2"}},
		"RotateWebhook":  {rotateWebhook, []any{"webhook1", key, now}},
		"DeleteWebhook":  {deleteWebhook, []any{"webhook1"}},

		"File":            {fileByID, []any{"file1", "mesh2"}},
		"FilePieces":      {pieces, []any{"file1"}},
		"HoldUpload":      {holdUpload, []any{"file1", int64(0), "holder", now, now}},
		"KeepUpload":      {keepUpload, []any{"file1", "holder", now}},
		"its room":        {fileRest, []any{"mesh2", "member1", now}},
		"UnrecordedFiles": {unrecordedFiles, []any{now, 100}},
		"FileRecorded":    {fileRecorded, []any{"file1"}},
		"GoneFiles":       {goneFiles, []any{now.Add(-time.Hour), 100}},

		"APIKeyByHash":   {apiKeyByHash, []any{key}},
		"FindAPIKeys":    {apiKeysByPrefix, []any{"mesh2", "key1234", "key1234\x7f", "", 10}},
		"TouchAPIKey":    {touchAPIKey, []any{"key1", now}},
		"the keys' end":  {endAPIKeys, []any{"member1", now, now}},
		"keys to forget": {forgetAPIKeys, []any{"member1", now, 500}},
	}
}

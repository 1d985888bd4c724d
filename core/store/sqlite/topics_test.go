package sqlite

import "testing"

// What runs with each message to a topic, and while members read, finds its rows by
// an index.
func TestTopicQueriesUseIndexes(t *testing.T) {
	s := fresh(t, Options{})
	const (
		except = "; LIST SUBQUERY 1; SCAN json_each VIRTUAL TABLE INDEX 1:; CREATE BLOOM FILTER"
		from   = "; SCALAR SUBQUERY 2; SEARCH topic_message USING COVERING INDEX topic_message_by_id (topic_id=? AND id=?)"
		member = "; SEARCH m USING PRIMARY KEY (id=?)"
		seat   = "; SEARCH s USING INDEX sqlite_autoindex_topic_seat_1 (topic_id=? AND member_id=?) LEFT-JOIN"
		seats  = "SEARCH s USING INDEX sqlite_autoindex_topic_seat_1 (topic_id=?)" + member
	)
	for name, tt := range map[string]struct {
		query string
		args  int
		want  string
	}{
		"FindTopic":           {topicByID, 2, "SEARCH t USING INDEX sqlite_autoindex_topic_1 (id=?)"},
		"by its name":         {topicNamed, 2, "SEARCH t USING INDEX sqlite_autoindex_topic_2 (mesh_id=? AND name=?)"},
		"CreateTopic":         {countTopics, 1, "SEARCH topic USING COVERING INDEX topic_by_creator (mesh_id=?)"},
		"of its creator":      {countTopicsOf, 2, "SEARCH topic USING COVERING INDEX topic_by_creator (mesh_id=? AND creator_id=?)"},
		"Seat":                {seatByMember, 3, "SEARCH m USING PRIMARY KEY (id=?)" + seat},
		"Seats":               {`SELECT ` + seatColumns + seatsOf + byName, 2, seats + "; USE TEMP B-TREE FOR ORDER BY"},
		"Seats for everybody": {`SELECT ` + seatColumns + seatsOfAll + byName, 2, "SEARCH m USING INDEX sqlite_autoindex_member_2 (mesh_id=?)" + seat + "; USE TEMP B-TREE FOR ORDER BY"},
		"TopicHistory":        {newestMessages, 4, "SEARCH h USING INDEX topic_message_by_topic (topic_id=?)" + except},
		"older messages":      {messagesBefore, 5, "SEARCH h USING INDEX topic_message_by_topic (topic_id=? AND seq<?)" + from + except},
		"newer messages":      {messagesAfter, 5, "SEARCH h USING INDEX topic_message_by_topic (topic_id=? AND seq>?)" + from + except},
		"HasTopicMessage":     {hasTopicMessage, 2, "SCAN CONSTANT ROW; SCALAR SUBQUERY 1; SEARCH topic_message USING COVERING INDEX topic_message_by_id (topic_id=? AND id=?)"},
		"Notifications":       {listNotifications, 5, "SEARCH n USING INDEX notification_by_member (member_id=? AND mesh_id=?); SEARCH t USING INDEX sqlite_autoindex_topic_1 (id=?)"},
		"ReadNotifications":   {readNotifications, 5, "SEARCH notification USING INDEX notification_by_member (member_id=? AND mesh_id=?)" + except},
		"deleted ones":        {deleteNotifications, 1, "SEARCH notification USING INDEX sqlite_autoindex_notification_1 (seq=?)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := plan(t, s, tt.query, tt.args); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

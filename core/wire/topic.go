package wire

import (
	"time"

	"github.com/claudemesh/broker/sdk"
)

// TopicCreate makes a topic: a conversation that members join. Its answer is a
// [TopicCreated]. Who makes it is its lead, and gets a sealed copy of the topic's
// key, which the broker makes and forgets. A topic that is there already is
// answered as it is, and who asks joins it if it is public. Errors: invalid;
// topic_name_taken for a name that a topic has which the sender may not see;
// forbidden; capacity when there are too many.
type TopicCreate struct {
	Name        string `json:"name" required:"true" max:"64" doc:"1 to 64 bytes that can be printed, without spaces around them, and without # or @ in front"`
	Description string `json:"description,omitempty" max:"1024" doc:"what it is about"`
	Visibility  string `json:"visibility,omitempty" enum:"public,private,dm" doc:"public: every member of the mesh sees and may join it. private and dm: only its members see it, and who joins needs an invitation. public when absent"`
}

// FrameType returns topic_create.
func (TopicCreate) FrameType() string { return "topic_create" }

// TopicCreated answers a [TopicCreate].
type TopicCreated struct {
	Topic   TopicBrief `json:"topic" doc:"the topic; with empty texts when it was refused"`
	Created bool       `json:"created" doc:"false: it was there already, or it was refused"`
	Error   string     `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns topic_created.
func (TopicCreated) FrameType() string { return "topic_created" }

// TopicBrief is a topic in few words.
type TopicBrief struct {
	ID         string `json:"id" doc:"id of the topic"`
	Name       string `json:"name" doc:"its name"`
	Visibility string `json:"visibility" enum:"public,private,dm" doc:"who sees it"`
}

// TopicList asks for the topics that the member may see. Its answer is a
// [TopicListResponse].
type TopicList struct{}

// FrameType returns topic_list.
func (TopicList) FrameType() string { return "topic_list" }

// TopicListResponse answers a [TopicList]. It has every topic; where there is more
// than a megabyte of descriptions, the last ones are left out.
type TopicListResponse struct {
	Topics []TopicRow `json:"topics" doc:"by name: public ones, and those that the member is in or is invited to"`
	Error  string     `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns topic_list_response.
func (TopicListResponse) FrameType() string { return "topic_list_response" }

// TopicRow is one topic.
type TopicRow struct {
	ID          string    `json:"id" doc:"id of the topic"`
	Name        string    `json:"name" doc:"its name"`
	Description *string   `json:"description" doc:"what it is about; null when nobody said, or when there is no room for it"`
	Visibility  string    `json:"visibility" enum:"public,private,dm" doc:"who sees it"`
	MemberCount int64     `json:"memberCount" doc:"its members"`
	CreatedAt   time.Time `json:"createdAt" doc:"when it was made"`
	Role        string    `json:"role,omitempty" enum:"lead,member,observer,invited" doc:"what the asker is in it; absent when it is not in it"`
	Unread      int64     `json:"unread" doc:"messages of others since the asker's last topic_mark_read, counted up to 1000; 0 when it is not in it"`
}

// TopicJoin makes the member one of the topic's; it may join a public topic, and
// others when a lead has invited it. With member, a lead invites that member, or
// changes its role. An [Ack] answers. Who joins again keeps its role. Errors:
// topic_not_found; forbidden; invalid.
type TopicJoin struct {
	Topic  string `json:"topic" required:"true" max:"256" doc:"id or name of the topic, with or without #"`
	Role   string `json:"role,omitempty" enum:"lead,member,observer" doc:"observer: may read and not send. lead: for a lead to give. member when absent"`
	Member string `json:"member,omitempty" max:"256" doc:"member key, or id, of whom a lead invites, or gives another role"`
}

// FrameType returns topic_join.
func (TopicJoin) FrameType() string { return "topic_join" }

// TopicLeave ends a membership. With member, a lead removes that member, or takes
// an invitation back. An [Ack] answers. Where the last lead leaves, the member
// that is there longest becomes one; a topic that nobody is in any more is over.
// Errors: topic_not_found; forbidden; invalid.
type TopicLeave struct {
	Topic  string `json:"topic" required:"true" max:"256" doc:"id or name of the topic, with or without #"`
	Member string `json:"member,omitempty" max:"256" doc:"member key, or id, of whom a lead removes"`
}

// FrameType returns topic_leave.
func (TopicLeave) FrameType() string { return "topic_leave" }

// TopicMembers asks who is in a topic. Its answer is a [TopicMembersResponse].
// Errors: topic_not_found, also for a topic that the asker may not see; forbidden.
type TopicMembers struct {
	Topic string `json:"topic" required:"true" max:"256" doc:"id or name of the topic, with or without #"`
}

// FrameType returns topic_members.
func (TopicMembers) FrameType() string { return "topic_members" }

// TopicMembersResponse answers a [TopicMembers]. An answer with more than a megabyte
// of members ends there.
type TopicMembersResponse struct {
	Topic   string           `json:"topic" doc:"as it was asked for"`
	Members []TopicMemberRow `json:"members" doc:"by name"`
	Error   string           `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns topic_members_response.
func (TopicMembersResponse) FrameType() string { return "topic_members_response" }

// TopicMemberRow is one member of a topic.
type TopicMemberRow struct {
	MemberID    string     `json:"memberId" doc:"id of the member"`
	Pubkey      sdk.Key    `json:"pubkey" doc:"its lasting key"`
	DisplayName string     `json:"displayName" doc:"its display name"`
	Role        string     `json:"role" enum:"lead,member,observer" doc:"what it may do in the topic"`
	JoinedAt    time.Time  `json:"joinedAt" doc:"when it joined"`
	LastReadAt  *time.Time `json:"lastReadAt" doc:"up to when it has read; null when it never said"`
}

// TopicHistory asks for messages of a topic. Its answer is a
// [TopicHistoryResponse]. Errors: topic_not_found, also for a topic that the asker
// may not see; forbidden.
type TopicHistory struct {
	Topic    string `json:"topic" required:"true" max:"256" doc:"id or name of the topic, with or without #"`
	Limit    *int64 `json:"limit,omitzero" doc:"most messages to return, taken as 1 to 200; 50 when absent"`
	BeforeID string `json:"beforeId,omitempty" max:"256" doc:"id of a message of the topic: only older ones. An id that it does not have finds none"`
}

// FrameType returns topic_history.
func (TopicHistory) FrameType() string { return "topic_history" }

// TopicHistoryResponse answers a [TopicHistory]. An answer with more than a
// megabyte of messages ends there; ask for what is before the last one.
type TopicHistoryResponse struct {
	Topic    string            `json:"topic" doc:"as it was asked for"`
	Messages []TopicMessageRow `json:"messages" doc:"the newest first, without those of members whose broadcasts the asker does not allow"`
	Error    string            `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns topic_history_response.
func (TopicHistoryResponse) FrameType() string { return "topic_history_response" }

// TopicMessageRow is one message of a topic.
type TopicMessageRow struct {
	ID             string    `json:"id" doc:"the broker's id of the message, the messageId of its ack and its push"`
	SenderPubkey   sdk.Key   `json:"senderPubkey" doc:"the sender's session key, else its member key"`
	SenderMemberID string    `json:"senderMemberId" doc:"the sender's member id"`
	SenderName     string    `json:"senderName" doc:"the sender's display name at that time"`
	Nonce          string    `json:"nonce" doc:"as the sender gave it"`
	Ciphertext     string    `json:"ciphertext" doc:"as the sender gave it"`
	BodyVersion    int64     `json:"bodyVersion" doc:"1: base64 of a readable text. 2: sealed with the topic's key"`
	ReplyToID      string    `json:"replyToId,omitempty" doc:"id of the message of the topic that this one answers"`
	CreatedAt      time.Time `json:"createdAt" doc:"when the broker accepted it"`
}

// TopicMarkRead says that the member has read a topic up to now. An [Ack]
// answers. Errors: topic_not_found; forbidden for who is not in it.
type TopicMarkRead struct {
	Topic string `json:"topic" required:"true" max:"256" doc:"id or name of the topic, with or without #"`
}

// FrameType returns topic_mark_read.
func (TopicMarkRead) FrameType() string { return "topic_mark_read" }

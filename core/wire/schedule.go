package wire

// Schedule has the broker send a message later, in the name of the member that
// asks, once or again and again. It goes through the whole chain then, like any
// send, with priority now. Its answer is a [ScheduledAck]. A session that repeats
// a request, with its _reqId, gets the answer to the first one. Errors: invalid,
// too_large; invalid_cron; forbidden; capacity when there are too many.
type Schedule struct {
	To         string   `json:"to" required:"true" max:"256" doc:"whom it is for: a key of 64 hex digits, @group, #topic, or * for everybody. A session of the asker's own that is gone by then means all sessions of the asker"`
	Message    string   `json:"message,omitempty" doc:"the text, which recipients get unsealed; or else ciphertext"`
	Ciphertext string   `json:"ciphertext,omitempty" doc:"what the recipient opens, sealed with the asker's lasting key; in the place of message"`
	Nonce      string   `json:"nonce,omitempty" max:"256" doc:"that of the ciphertext"`
	DeliverAt  *float64 `json:"deliverAt,omitzero" doc:"when, in milliseconds since 1970, at most ten years ahead; a time that is over is now. Not looked at with cron"`
	Cron       string   `json:"cron,omitempty" max:"256" doc:"again and again: five fields, minute hour day month weekday, each of numbers, names, *, ranges, lists and steps"`
	Timezone   string   `json:"timezone,omitempty" max:"64" doc:"whose clock cron goes by, an IANA name like Europe/Madrid; UTC when absent"`
	Subtype    string   `json:"subtype,omitempty" max:"64" enum:"reminder" doc:"tells recipients how to show it"`
}

// FrameType returns schedule.
func (Schedule) FrameType() string { return "schedule" }

// ScheduledAck answers a [Schedule].
type ScheduledAck struct {
	ScheduledID string `json:"scheduledId,omitempty" doc:"id of the schedule; absent when it was refused"`
	DeliverAt   int64  `json:"deliverAt,omitzero" doc:"when it fires, or fires first, in milliseconds since 1970"`
	Cron        string `json:"cron,omitempty" doc:"as it was asked for"`
	Timezone    string `json:"timezone,omitempty" doc:"as it was asked for"`
	Error       string `json:"error,omitempty" doc:"why it was refused: the reason and what to do about it"`
}

// FrameType returns scheduled_ack.
func (ScheduledAck) FrameType() string { return "scheduled_ack" }

// ListScheduled asks for the schedules of the asker's member. Its answer is a
// [ScheduledList].
type ListScheduled struct {
	All bool `json:"all,omitzero" doc:"also those that were sent or cancelled in the last week"`
}

// FrameType returns list_scheduled.
func (ListScheduled) FrameType() string { return "list_scheduled" }

// ScheduledList answers a [ListScheduled].
type ScheduledList struct {
	Messages []ScheduledMessage `json:"messages" doc:"those that wait and those that failed, the first to be due first"`
	Error    string             `json:"error,omitempty" doc:"why there is no answer: the reason and what to do about it"`
}

// FrameType returns scheduled_list.
func (ScheduledList) FrameType() string { return "scheduled_list" }

// ScheduledMessage is one schedule.
type ScheduledMessage struct {
	ID         string `json:"id" doc:"id of the schedule"`
	To         string `json:"to" doc:"whom it is for"`
	Message    string `json:"message" doc:"the text; empty for one that is sealed, sent or cancelled, or left out"`
	Ciphertext string `json:"ciphertext,omitempty" doc:"as it was given"`
	Nonce      string `json:"nonce,omitempty" doc:"as it was given"`
	LeftOut    bool   `json:"leftOut,omitzero" doc:"true: the text is left out, because there was a megabyte of them before it"`
	DeliverAt  int64  `json:"deliverAt" doc:"when it fires next, or was last to fire, in milliseconds since 1970"`
	CreatedAt  int64  `json:"createdAt" doc:"in milliseconds since 1970"`
	Cron       string `json:"cron,omitempty" doc:"again and again"`
	Timezone   string `json:"timezone,omitempty" doc:"whose clock cron goes by; UTC when absent"`
	FiredCount *int64 `json:"firedCount,omitzero" doc:"with cron: how often it was sent"`
	FiredAt    int64  `json:"firedAt,omitzero" doc:"when it was sent last, in milliseconds since 1970"`
	Subtype    string `json:"subtype,omitempty" doc:"as it was given"`
	State      string `json:"state" enum:"waiting,fired,failed,cancelled" doc:"failed: it was refused, and is not tried again"`
	Error      string `json:"error,omitempty" doc:"why it was refused last: the reason and what to do about it. One that waits is tried again, or comes the next time"`
}

// CancelScheduled ends a schedule of the asker's member. Its answer is a
// [CancelScheduledAck].
type CancelScheduled struct {
	ScheduledID string `json:"scheduledId" required:"true" max:"256" doc:"id of the schedule"`
}

// FrameType returns cancel_scheduled.
func (CancelScheduled) FrameType() string { return "cancel_scheduled" }

// CancelScheduledAck answers a [CancelScheduled].
type CancelScheduledAck struct {
	ScheduledID string `json:"scheduledId" doc:"as it was asked for; empty when that was unreadable"`
	OK          bool   `json:"ok" doc:"true: it will not be sent any more; false: there is none that waits, or it is being sent"`
	Error       string `json:"error,omitempty" doc:"why not: the reason and what to do about it"`
}

// FrameType returns cancel_scheduled_ack.
func (CancelScheduledAck) FrameType() string { return "cancel_scheduled_ack" }

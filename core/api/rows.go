package api

import "github.com/claudemesh/broker/core/wire"

// What follows has rows of frames in it, and is written as frames are.

// MarshalJSON implements [json.Marshaler].
func (a *PeersV1) MarshalJSON() ([]byte, error) {
	type plain PeersV1
	return wire.Value((*plain)(a))
}

// MarshalJSON implements [json.Marshaler].
func (a *TopicsV1) MarshalJSON() ([]byte, error) {
	type plain TopicsV1
	return wire.Value((*plain)(a))
}

// MarshalJSON implements [json.Marshaler].
func (a *TopicHistoryV1) MarshalJSON() ([]byte, error) {
	type plain TopicHistoryV1
	return wire.Value((*plain)(a))
}

// MarshalJSON implements [json.Marshaler].
func (a *TopicMembersV1) MarshalJSON() ([]byte, error) {
	type plain TopicMembersV1
	return wire.Value((*plain)(a))
}

package api

import (
	"context"
	"net/http"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// ListTopicsV1 is GET /v1/topics.
type ListTopicsV1 struct {
	Mesh string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
}

// MeshName implements [feature.MeshNamer].
func (r *ListTopicsV1) MeshName() string { return r.Mesh }

// TopicsV1 answers a [ListTopicsV1].
type TopicsV1 struct {
	Topics []wire.TopicRow `json:"topics" doc:"by name: public ones, and those that the member is in or is invited to; with an API key for some topics those alone"`
}

// ReadTopicV1 is GET /v1/topics/{name}/messages.
type ReadTopicV1 struct {
	Mesh   string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	Name   string `path:"name" json:"-" doc:"id or name of the topic"`
	Limit  string `query:"limit" json:"-" doc:"most messages, 1 to 200; 50 when absent"`
	Before string `query:"before" json:"-" doc:"id of a message of the topic: only older ones"`
}

// MeshName implements [feature.MeshNamer].
func (r *ReadTopicV1) MeshName() string { return r.Mesh }

// TopicHistoryV1 answers a [ReadTopicV1].
type TopicHistoryV1 struct {
	Topic    string                 `json:"topic" doc:"as it was asked for"`
	Messages []wire.TopicMessageRow `json:"messages" doc:"the newest first"`
}

// TopicMembersOfV1 is GET /v1/topics/{name}/members.
type TopicMembersOfV1 struct {
	Mesh string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	Name string `path:"name" json:"-" doc:"id or name of the topic"`
}

// MeshName implements [feature.MeshNamer].
func (r *TopicMembersOfV1) MeshName() string { return r.Mesh }

// TopicMembersV1 answers a [TopicMembersOfV1].
type TopicMembersV1 struct {
	Topic   string                `json:"topic" doc:"as it was asked for"`
	Members []wire.TopicMemberRow `json:"members" doc:"by name"`
}

// MarkTopicV1 is PATCH /v1/topics/{name}/read.
type MarkTopicV1 struct {
	Mesh string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	Name string `path:"name" json:"-" doc:"id or name of the topic"`
}

// MeshName implements [feature.MeshNamer].
func (r *MarkTopicV1) MeshName() string { return r.Mesh }

// topics adds the routes about topics.
func (g *gateway) topics(t *Table) {
	refusals := []sdk.Reason{feature.ReasonKeyTopic, feature.ReasonTopicNotFound}
	status := map[sdk.Reason]int{feature.ReasonTopicNotFound: http.StatusNotFound}
	onGateway(t, Route{
		Method: http.MethodGet, Path: "/v1/topics", Kind: "http.v1.topics.list", Key: store.KeyRead,
		Summary: "lists the topics that the member may see",
	}, g.listTopics)
	onGateway(t, Route{
		Method: http.MethodGet, Path: "/v1/topics/{name}/messages", Kind: "http.v1.topic.history", Key: store.KeyRead,
		Summary: "lists messages of a topic, the newest first", Refusals: refusals, Status: status,
	}, g.history)
	onGateway(t, Route{
		Method: http.MethodGet, Path: "/v1/topics/{name}/members", Kind: "http.v1.topic.members", Key: store.KeyRead,
		Summary: "lists who is in a topic", Refusals: refusals, Status: status,
	}, g.topicMembers)
	onGateway(t, Route{
		Method: http.MethodPatch, Path: "/v1/topics/{name}/read", Kind: "http.v1.topic.read", Key: store.KeyRead, Body: BodyNone,
		Summary: "says that the member has read a topic up to now", Refusals: refusals, Status: status,
	}, g.markTopic)
}

// covered returns the topics that the member may see, and whose API key, if it
// asks with one, is for them.
func (g *gateway) covered(ctx context.Context, c *feature.Call) ([]wire.TopicRow, error) {
	if _, _, err := actingFor(c); err != nil {
		return nil, err
	}
	list, err := feature.Ask[wire.TopicListResponse](ctx, g.registry, c, &wire.TopicList{})
	if err != nil {
		return nil, err
	}
	rows := []wire.TopicRow{}
	for _, row := range list.Topics {
		if k := c.HTTP.APIKey; k == nil || k.Covers(row.ID, row.Name) {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// topicOf returns the name by which a handler is asked about a topic, as long as
// the API key, if there is one, is for it.
func (g *gateway) topicOf(ctx context.Context, c *feature.Call, name string) (string, error) {
	k := c.HTTP.APIKey
	if k == nil || len(k.Topics) == 0 {
		_, _, err := actingFor(c)
		return name, err
	}
	rows, err := g.covered(ctx, c)
	if err != nil {
		return "", err
	}
	for _, row := range rows {
		if row.ID == name || row.Name == name {
			return row.ID, nil
		}
	}
	return "", core.Refuse(feature.ReasonKeyTopic, "this API key is not for this topic, or the topic is not there: GET /v1/topics lists those that it is for")
}

func (g *gateway) listTopics(ctx context.Context, c *feature.Call, _ *ListTopicsV1) (*TopicsV1, error) {
	rows, err := g.covered(ctx, c)
	return &TopicsV1{Topics: rows}, err
}

func (g *gateway) history(ctx context.Context, c *feature.Call, m *ReadTopicV1) (*TopicHistoryV1, error) {
	topic, err := g.topicOf(ctx, c, m.Name)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(m.Limit, inboxDefault, inboxMost)
	if err != nil {
		return nil, err
	}
	found, err := feature.Ask[wire.TopicHistoryResponse](ctx, g.registry, c,
		&wire.TopicHistory{Topic: topic, Limit: new(int64(limit)), BeforeID: m.Before})
	return &TopicHistoryV1{Topic: m.Name, Messages: found.Messages}, err
}

func (g *gateway) topicMembers(ctx context.Context, c *feature.Call, m *TopicMembersOfV1) (*TopicMembersV1, error) {
	topic, err := g.topicOf(ctx, c, m.Name)
	if err != nil {
		return nil, err
	}
	found, err := feature.Ask[wire.TopicMembersResponse](ctx, g.registry, c, &wire.TopicMembers{Topic: topic})
	return &TopicMembersV1{Topic: m.Name, Members: found.Members}, err
}

func (g *gateway) markTopic(ctx context.Context, c *feature.Call, m *MarkTopicV1) (*OK, error) {
	topic, err := g.topicOf(ctx, c, m.Name)
	if err != nil {
		return nil, err
	}
	_, err = feature.Ask[wire.Ack](ctx, g.registry, c, &wire.TopicMarkRead{Topic: topic})
	return &OK{OK: true}, err
}

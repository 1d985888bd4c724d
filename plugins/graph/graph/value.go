package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j/dbtype"
)

// deepest is how far lists and objects of an answer may nest: clients, and the
// broker's frames, go no deeper.
const deepest = 24

// plain turns a value of the driver into one that JSON can say.
func plain(v any, depth int) any {
	if depth > deepest {
		return nil
	}
	switch v := v.(type) {
	case nil, bool, string, int64, []byte:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i], depth+1)
		}
		return list
	case map[string]any:
		return properties(v, depth)
	case neo4j.Node:
		return map[string]any{"elementId": v.ElementId, "labels": v.Labels, "properties": properties(v.Props, depth+1)}
	case neo4j.Relationship:
		return relationship(v, depth)
	case neo4j.Path:
		nodes, relationships := make([]any, len(v.Nodes)), make([]any, len(v.Relationships))
		for i := range v.Nodes {
			nodes[i] = plain(v.Nodes[i], depth+2)
		}
		for i := range v.Relationships {
			relationships[i] = plain(v.Relationships[i], depth+2)
		}
		return map[string]any{"nodes": nodes, "relationships": relationships}
	default:
		return special(v)
	}
}

func relationship(r neo4j.Relationship, depth int) any {
	return map[string]any{
		"elementId": r.ElementId, "type": r.Type, "startNodeElementId": r.StartElementId, "endNodeElementId": r.EndElementId,
		"properties": properties(r.Props, depth+1),
	}
}

func properties(m map[string]any, depth int) map[string]any {
	to := make(map[string]any, len(m))
	for name, v := range m {
		to[name] = plain(v, depth+1)
	}
	return to
}

// special is a time, a place or a duration.
func special(v any) any {
	switch v := v.(type) {
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case dbtype.Point2D:
		return map[string]any{"srid": v.SpatialRefId, "x": v.X, "y": v.Y}
	case dbtype.Point3D:
		return map[string]any{"srid": v.SpatialRefId, "x": v.X, "y": v.Y, "z": v.Z}
	case fmt.Stringer: // dates, local times and durations, in ISO 8601
		return v.String()
	default:
		return fmt.Sprint(v)
	}
}

// parameters turns the JSON of a request into values of the driver: whole numbers
// are whole.
func parameters(raw map[string]json.RawMessage) (map[string]any, error) {
	params := make(map[string]any, len(raw))
	for name, text := range raw {
		var v any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		params[name] = numbered(v)
	}
	return params, nil
}

func numbered(v any) any {
	switch v := v.(type) {
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return whole
		}
		number, _ := v.Float64() // JSON's numbers all are one, if perhaps infinite
		return number
	case []any:
		for i := range v {
			v[i] = numbered(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = numbered(v[name])
		}
	}
	return v
}

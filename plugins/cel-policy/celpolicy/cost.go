package celpolicy

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
)

// longestText is the most bytes of a text that rules see, so that the cost of an
// expression has a bound that is known before. The broker's own limits are far
// below for all but names and kinds, which a peer chooses.
const longestText = 1024

var errLongText = fmt.Errorf("a text has more than %d bytes", longestText)

// program makes a program of an expression. One that can never cost more than
// the limit runs without counting, which takes about five allocations; any other
// is stopped at the limit.
func (c *compiler) program(expression *cel.Ast) (cel.Program, error) {
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	estimate, err := c.env.EstimateCost(expression, sizes{})
	if err != nil || estimate.Max > c.limit {
		options = append(options, cel.CostLimit(c.limit))
	}
	if err == nil && estimate.Min > c.limit {
		return nil, fmt.Errorf("costs at least %d, and cost_limit is %d", estimate.Min, c.limit)
	}
	program, err := c.env.Program(expression, options...)
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	return program, err
}

// sizes tells how large the values of variables can be. Those of attributes are
// not bounded here.
type sizes struct{}

// EstimateSize bounds the texts of a message.
func (sizes) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	path := node.Path()
	if len(path) == 0 || !strings.HasPrefix(path[0], "message.") || node.Type().Kind() != types.StringKind {
		return nil
	}
	return &cost.SizeEstimate{Max: longestText}
}

// EstimateCallCost leaves functions to what they say themselves.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

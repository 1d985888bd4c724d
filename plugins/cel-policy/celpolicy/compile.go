package celpolicy

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"

	"github.com/claudemesh/broker/sdk/plugin"
)

// compiler turns policies into programs.
type compiler struct {
	granted plugin.Grants
	limit   uint64 // cost of one expression
	env     *cel.Env
}

func newCompiler(granted plugin.Grants, limit uint64) (*compiler, error) {
	options := []cel.EnvOption{
		ext.Strings(), ext.Sets(),
		cel.DefaultUTCTimeZone(true),
		cel.ExpressionNodeLimit(longestExpression),
	}
	for _, v := range variables() {
		if v.shown(granted) {
			options = append(options, cel.Variable(v.name, v.kind))
		}
	}
	env, err := cel.NewEnv(options...)
	return &compiler{granted: granted, limit: limit, env: env}, err
}

// longestExpression bounds an expression, in nodes of its tree.
const longestExpression = 2000

// compile returns the policy ready to run, or all that is wrong with it.
func (c *compiler) compile(p *Policy) (*compiled, []mistake) {
	var wrong []mistake
	if p.Default != Continue && p.Default != Refuse {
		wrong = append(wrong, mistake{rule: -1, field: "default", message: fmt.Sprintf("%q is neither continue nor refuse", string(p.Default))})
	}
	if len(p.Rules) > mostRules {
		return nil, append(wrong, mistake{rule: -1, field: "rules", message: fmt.Sprintf("has %d rules; %d are the most", len(p.Rules), mostRules)})
	}
	out := &compiled{}
	seen := make(map[string]bool, len(p.Rules))
	for i := range p.Rules {
		r := &p.Rules[i]
		found := r.check(c.granted)
		if seen[r.Name] && r.Name != "" {
			found = append(found, mistake{name: r.Name, field: "name", message: "there is a rule of this name"})
		}
		seen[r.Name] = true
		program, more := c.expression(r)
		for _, m := range append(found, more...) {
			m.rule = i
			wrong = append(wrong, m)
		}
		out.rules = append(out.rules, newRule(r, program))
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	out.otherwise = (&Rule{Name: "default", Then: p.Default, Text: "no rule allows this"}).decision()
	return out, nil
}

// expression compiles the expression of a rule.
func (c *compiler) expression(r *Rule) (cel.Program, []mistake) {
	if r.When == "" {
		return nil, nil // check has said so
	}
	ast, issues := c.env.Compile(r.When)
	if issues.Err() != nil {
		return nil, c.mistakes(r, issues)
	}
	if !ast.OutputType().IsExactType(cel.BoolType) {
		return nil, []mistake{{name: r.Name, field: "when", line: 1, col: 1, message: "is " + ast.OutputType().String() + "; it has to be true or false"}}
	}
	program, err := c.program(ast)
	if err != nil {
		return nil, []mistake{{name: r.Name, field: "when", line: 1, col: 1, message: err.Error()}}
	}
	return program, nil
}

func (c *compiler) mistakes(r *Rule, issues *cel.Issues) (wrong []mistake) {
	for _, e := range issues.Errors() {
		wrong = append(wrong, mistake{
			name: r.Name, field: "when", line: e.Location.Line(), col: e.Location.Column() + 1,
			message: explain(c.granted, e.Message, r.When),
		})
	}
	return wrong
}

package mapping

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tenure/core"
	"tenure/core/schema"
)

// Operators are the operators of conditions: those of the API's search.
var Operators = []string{"eq", "ne", "lt", "le", "gt", "ge", "like", "notLike", "isTrue", "isFalse"}

// Condition is a condition on a record of another system, with the meaning that the
// API's search gives its operators (contract R1, C3).
type Condition struct {
	// Path is an expression over the record (CompilePath).
	Path string `json:"path"`
	// Operator is one of Operators.
	Operator string `json:"operator"`
	// Value is compared with what Path yields: as a number with a number, else as
	// text. isTrue and isFalse need none.
	Value string `json:"value,omitempty"`

	once    sync.Once
	program *Program
	err     error
}

// Check returns a *core.Failure that says what is wrong with a condition.
func (c *Condition) Check() error {
	if !slices.Contains(Operators, c.Operator) {
		return &core.Failure{Code: core.NotAChoice, Field: "operator", Message: "the operator must be one of: " + strings.Join(Operators, ", ")}
	}
	if _, err := c.compiled(); err != nil {
		return err
	}
	truth := c.Operator == "isTrue" || c.Operator == "isFalse"
	switch _, isNumber := rational(c.Value); {
	case !truth && c.Value == "":
		return &core.Failure{Code: core.MissingField, Field: "value", Message: "a value to compare with is missing"}
	case slices.Contains(Operators[2:6], c.Operator) && !isNumber:
		return &core.Failure{Code: core.WrongType, Field: "value", Message: "the operator " + c.Operator + " needs a number"}
	}
	return nil
}

func (c *Condition) compiled() (*Program, error) {
	c.once.Do(func() { c.program, c.err = CompilePath(c.Path, &Env{}) })
	return c.program, c.err
}

// String returns the condition as people write it.
func (c *Condition) String() string {
	return strings.TrimSpace(c.Path + " " + c.Operator + " " + c.Value)
}

// Match reports whether a record meets the condition. What is not there meets ne
// and notLike alone.
func (c *Condition) Match(ctx context.Context, record any) (bool, error) {
	p, err := c.compiled()
	if err != nil {
		return false, err
	}
	v, err := p.First(ctx, record)
	if err != nil {
		return false, err
	}
	negative := c.Operator == "ne" || c.Operator == "notLike"
	if v == nil {
		return negative, nil
	}
	if b, ok := v.(bool); ok {
		switch c.Operator {
		case "isTrue":
			return b, nil
		case "isFalse":
			return !b, nil
		}
		v = fmt.Sprint(b)
	}
	text, ok := Text(v)
	if !ok {
		return negative, nil
	}
	switch c.Operator {
	case "isTrue", "isFalse":
		return strings.EqualFold(text, strings.ToLower(strings.TrimPrefix(c.Operator, "is"))), nil
	case "like", "notLike":
		return strings.Contains(schema.Fold(text), schema.Fold(c.Value)) != negative, nil
	}
	left, isNumber := rational(v)
	right, comparable := rational(c.Value)
	if _, isText := v.(string); isText || !isNumber || !comparable {
		if c.Operator != "eq" && c.Operator != "ne" {
			return false, nil // a text has no order
		}
		return (text == c.Value) != negative, nil
	}
	switch order := left.Cmp(right); c.Operator {
	case "eq":
		return order == 0, nil
	case "ne":
		return order != 0, nil
	case "lt":
		return order < 0, nil
	case "le":
		return order <= 0, nil
	case "gt":
		return order > 0, nil
	default:
		return order >= 0, nil
	}
}

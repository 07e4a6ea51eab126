// Package mapping is the one language in which it is said how another system's
// records are read and become ours: jq, with functions of ours for times and
// amounts of money. It does no I/O.
//
// Functions of ours, all of which make null of null:
//
//	seconds           unix seconds → epoch ms
//	millis            epoch ms, checked
//	time              ISO 8601 or /Date(ms)/ → epoch ms; without a zone in Env.Zone
//	date              YYYY-MM-DD → epoch ms at 00:00 UTC
//	iso               epoch ms → 2025-01-31T14:05:00Z
//	unix              epoch ms → unix seconds
//	localtime(layout) epoch ms → text in Env.Zone, by a layout of Go
//	minor(amount; currency)  integer in the currency's smallest unit → cents
//	minor(amount; currency; exponent)  the same, where the system counts otherwise
//	major(amount; currency)  amount in the currency's major unit → cents
//	minor(currency), major(currency)  the same, of the input as the amount
//	text              contract C2: whole numbers without a fraction, else literal
//	plain             HTML → plain text
//	email             trimmed, in lower case
//
// "Cents" are the smallest unit of the workspace's currency (ISO 4217).
package mapping

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
	"unicode/utf8"

	"github.com/itchyny/gojq"

	"tenure/core"
)

const (
	// maxExpression is the greatest length of an expression, in code points.
	maxExpression = 4000
	// maxPath is that of one that an administrator writes.
	maxPath = 1000
	// timeout bounds one evaluation: no honest one takes a thousandth of it.
	timeout = 5 * time.Second
)

// Env is what the expressions of one source see beside their input.
type Env struct {
	// Currency is the workspace's, an ISO 4217 code; empty: amounts have no meaning.
	Currency string
	// Rates say how many units of Currency one unit of another currency is worth, as
	// decimal text by code.
	Rates map[string]string
	// Zone is where times without a zone are from; nil: they are refused.
	Zone *time.Location
	// Functions are further functions by name, of the input and no argument.
	Functions map[string]func(input any) any
}

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	code *gojq.Code
	text string
	vars int
}

// String returns the expression.
func (p *Program) String() string { return p.text }

// Compile compiles an expression of a declaration. vars are the names of variables,
// without the dollar sign, whose values Run gives in that order.
func Compile(expression string, env *Env, vars ...string) (*Program, error) {
	query, err := parse(expression, maxExpression)
	if err != nil {
		return nil, err
	}
	return compile(query, expression, env, vars)
}

// CompilePath compiles an expression that an administrator has written. Only what
// cannot take long or much memory is allowed: see allowed. A *core.Failure says
// what is not.
func CompilePath(expression string, env *Env, vars ...string) (*Program, error) {
	query, err := parse(expression, maxPath)
	if err != nil {
		return nil, err
	}
	if err := allowed(query); err != nil {
		return nil, err
	}
	return compile(query, expression, env, vars)
}

func parse(expression string, longest int) (*gojq.Query, error) {
	if n := utf8.RuneCountInString(expression); n > longest {
		return nil, &core.Failure{Code: core.TooLong, Message: fmt.Sprintf("an expression has at most %d characters", longest)}
	}
	query, err := gojq.Parse(expression)
	if err != nil {
		return nil, &core.Failure{Code: core.Malformed, Message: fmt.Sprintf("the expression %q cannot be read: %v", expression, err)}
	}
	return query, nil
}

func compile(query *gojq.Query, expression string, env *Env, vars []string) (*Program, error) {
	names := make([]string, len(vars))
	for i, v := range vars {
		names[i] = "$" + v
	}
	code, err := gojq.Compile(query, append(functions(env), gojq.WithVariables(names))...)
	if err != nil {
		return nil, &core.Failure{Code: core.Malformed, Message: fmt.Sprintf("the expression %q cannot be used: %v", expression, err)}
	}
	return &Program{code: code, text: expression, vars: len(vars)}, nil
}

// First returns the first output of the expression; nil if there is none.
func (p *Program) First(ctx context.Context, input any, values ...any) (any, error) {
	for v, err := range p.All(ctx, input, values...) {
		return v, err
	}
	return nil, nil
}

// All yields the outputs of the expression, and an error at most as the last.
func (p *Program) All(ctx context.Context, input any, values ...any) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		all := make([]any, p.vars)
		copy(all, values)
		outputs := p.code.RunWithContext(ctx, input, all...)
		for {
			v, ok, err := next(outputs)
			switch {
			case err != nil:
				yield(nil, p.explain(err))
				return
			case !ok, !yield(v, nil):
				return
			}
		}
	}
}

// next returns the next output. A panic, which none is known to be possible of, is
// an error like others.
func next(outputs gojq.Iter) (v any, ok bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the expression has failed: %v", p)
		}
	}()
	v, ok = outputs.Next()
	if err, failed := v.(error); failed {
		return nil, false, err
	}
	return v, ok, nil
}

// explain returns an error without jq's own words around it.
func (p *Program) explain(err error) error {
	if failure, ok := errors.AsType[*core.Failure](err); ok {
		return failure
	}
	var halt *gojq.HaltError
	if errors.As(err, &halt) && halt.Value() == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", p.text, err)
}

// Decode reads one JSON text of at most limit bytes. Numbers are json.Number. A text
// that is cut off, or has something behind it, is an error.
func Decode(r io.Reader, limit int64) (any, error) {
	limited := &io.LimitedReader{R: r, N: limit + 1}
	d := json.NewDecoder(limited)
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	if err == nil {
		switch _, more := d.Token(); {
		case more == nil:
			err = errors.New("there is something behind the JSON text")
		case more != io.EOF:
			err = more
		}
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("the JSON text has more than %d bytes", limit)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

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
	"math"
	"math/big"
	"slices"
	"strings"
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
	// What an evaluation may take, and what one output may measure (see within): for
	// an expression of a declaration, which may be a page, and for one that an
	// administrator writes, which is for a field. No honest one comes near it.
	timeout, maxOutput         = 5 * time.Second, 64 << 20
	pathTimeout, maxPathOutput = time.Second, 1 << 20
)

// Env is what the expressions of one source see beside their input.
type Env struct {
	// Currency is the workspace's, an ISO 4217 code; empty: amounts are refused.
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
	code    *gojq.Code
	text    string
	vars    int
	timeout time.Duration
	most    int
}

// String returns the expression.
func (p *Program) String() string { return p.text }

// Compile compiles an expression of a declaration. env may be nil. vars are the names
// of variables, without the dollar sign, whose values First and All are given in that
// order.
func Compile(expression string, env *Env, vars ...string) (*Program, error) {
	query, err := parse(expression, maxExpression)
	if err != nil {
		return nil, err
	}
	return compile(query, &Program{text: expression, timeout: timeout, most: maxOutput}, env, vars)
}

// CompilePath compiles an expression that an administrator has written. Only what
// cannot take long or much memory is allowed: see restrict. A *core.Failure says
// what is not.
func CompilePath(expression string, env *Env, vars ...string) (*Program, error) {
	query, err := parse(expression, maxPath)
	if err != nil {
		return nil, err
	}
	if err := restrict(query); err != nil {
		return nil, err
	}
	return compile(query, &Program{text: expression, timeout: pathTimeout, most: maxPathOutput}, env, vars)
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

// prelude stands before every expression: jq takes the square of the length of a
// text for the number in it.
var prelude = func() []*gojq.FuncDef {
	query, err := gojq.Parse(`def _tonumber: tonumber; def tonumber: _short | _tonumber; .`)
	if err != nil {
		panic(err)
	}
	return query.FuncDefs
}()

func compile(query *gojq.Query, p *Program, env *Env, vars []string) (*Program, error) {
	if env == nil {
		env = &Env{}
	}
	names := make([]string, len(vars))
	for i, v := range vars {
		names[i] = "$" + v
	}
	query.FuncDefs = slices.Concat(prelude, query.FuncDefs)
	var err error
	p.code, err = gojq.Compile(query, append(functions(env), gojq.WithVariables(names))...)
	if err != nil {
		return nil, &core.Failure{Code: core.Malformed, Message: fmt.Sprintf("the expression %q cannot be used: %v", p.text, err)}
	}
	p.vars = len(vars)
	return p, nil
}

// First returns the first output of the expression; nil if there is none.
func (p *Program) First(ctx context.Context, input any, values ...any) (any, error) {
	for v, err := range p.All(ctx, input, values...) {
		return v, err
	}
	return nil, nil
}

// All yields the outputs of the expression, and an error at most as the last: a
// *core.Failure if the expression cannot be applied to the input, takes too long or
// has too large an output; else that of parent. Values that are missing are null.
func (p *Program) All(parent context.Context, input any, values ...any) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		ctx, stop := context.WithCancel(parent)
		defer stop()
		all := make([]any, max(p.vars, len(values))) // too many are an error of jq's
		copy(all, values)
		// What the caller does between outputs does not count.
		left := p.timeout
		timer := time.AfterFunc(left, stop)
		defer timer.Stop()
		outputs := p.code.RunWithContext(ctx, input, all...)
		for {
			started := time.Now()
			v, ok, err := next(outputs)
			timer.Stop()
			left -= time.Since(started)
			switch {
			case err != nil && parent.Err() != nil:
				yield(nil, parent.Err())
				return
			case err != nil && ctx.Err() != nil:
				yield(nil, refuse(core.OutOfRange, "%s: it takes too long", clip(p.text)))
				return
			case err != nil:
				if err = p.explain(err); err != nil {
					yield(nil, err)
				}
				return
			case !ok:
				return
			case within(v, p.most) < 0:
				yield(nil, refuse(core.TooLarge, "%s: the result is too large", clip(p.text)))
				return
			case !yield(v, nil):
				return
			}
			timer.Reset(max(left, 0))
		}
	}
}

// within returns what is left of a number of bytes after about as many as a value
// has as JSON; less than 0 if they do not suffice. A value may have the same part
// in many places, so that it cannot be measured whole. For NaN and the infinities,
// which JSON has not, nothing suffices.
func within(v any, left int) int {
	switch v := v.(type) {
	case string:
		return left - len(v) - 2
	case json.Number:
		return left - len(v)
	case *big.Int:
		return left - v.BitLen()/3
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return -1
		}
		return left - 4
	case []any:
		left -= 2
		for i := 0; i < len(v) && left >= 0; i++ {
			left = within(v[i], left-1)
		}
	case map[string]any:
		left -= 2
		for name, member := range v {
			if left = within(member, left-len(name)-4); left < 0 {
				break
			}
		}
	default:
		left -= 4
	}
	return left
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

// explain returns an error as the caller's to mend; nil if there is none. What jq
// says of values is left out: they may be secret.
func (p *Program) explain(err error) error {
	if failure, ok := errors.AsType[*core.Failure](err); ok {
		return failure
	}
	message := err.Error()
	if own, ok := errors.AsType[gojq.ValueError](err); ok { // of error() or halt
		value := own.Value()
		if halt := (*gojq.HaltError)(nil); errors.As(err, &halt) && value == nil {
			return nil
		}
		message, _ = value.(string)
	} else if at := strings.IndexAny(message, "(\"[{"); at >= 0 {
		message = strings.TrimRight(message[:at], " :")
	}
	return refuse(core.WrongType, "%s: %s", clip(p.text), message)
}

// maxDigits is the greatest length of a number: to compare one, jq takes the square
// of it.
const maxDigits = 1000

// Decode reads one JSON text of at most limit bytes. Numbers are json.Number, of at
// most maxDigits bytes. A text that is cut off, or has something behind it, is an
// error.
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
	if err == nil && !numbersAreShort(v) {
		err = fmt.Errorf("the JSON text has a number of more than %d digits", maxDigits)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

func numbersAreShort(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return len(v) <= maxDigits
	case []any:
		for _, element := range v {
			if !numbersAreShort(element) {
				return false
			}
		}
	case map[string]any:
		for _, member := range v {
			if !numbersAreShort(member) {
				return false
			}
		}
	}
	return true
}

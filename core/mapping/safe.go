package mapping

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/itchyny/gojq"

	"tenure/core"
)

// harmless are the functions that an administrator's expression may call, by name
// and number of arguments. Ours are added to them. What they return is at most as
// large as their input and arguments together; test matches in linear time.
var harmless = []string{
	"ascii_downcase/0", "ascii_upcase/0", "contains/1", "empty/0", "endswith/1", "first/0", "first/1", "has/1", "join/1", "keys/0", "last/0", "length/0",
	"ltrimstr/1", "not/0", "null/0", "rtrimstr/1", "select/1", "split/1", "startswith/1", "test/1", "tonumber/0", "tostring/0", "trim/0", "type/0",
	"true/0", "false/0", "abs/0", "floor/0", "round/0", "sort/0", "unique/0",
}

// allowed returns a failure that names the first part of a query that is not
// allowed.
//
// What is allowed runs over the input at most once for each of its parts: there is
// no way to say something of everything at every depth (".."), to repeat anything
// (recursion, reduce, foreach, range), to yield more outputs than the input has
// members times the parts of the expression (the comma, variables), to build arrays
// or objects of outputs, or to reach anything but the input.
func allowed(q *gojq.Query) error {
	if q == nil {
		return nil
	}
	switch {
	case q.Meta != nil, len(q.Imports) > 0:
		return no("modules")
	case len(q.FuncDefs) > 0:
		return no("function definitions")
	case len(q.Patterns) > 0:
		return no("'as'")
	}
	switch q.Op {
	case 0, gojq.OpPipe, gojq.OpAlt, gojq.OpEq, gojq.OpNe, gojq.OpGt, gojq.OpLt, gojq.OpGe, gojq.OpLe, gojq.OpAnd, gojq.OpOr, gojq.OpAdd, gojq.OpSub, gojq.OpDiv:
	case gojq.OpMul: // repeats texts
		return no("'*'")
	default:
		return no("'" + q.Op.String() + "'")
	}
	if err := allowed(q.Left); err != nil {
		return err
	}
	if err := allowed(q.Right); err != nil {
		return err
	}
	return allowedTerm(q.Term)
}

func allowedTerm(t *gojq.Term) error {
	if t == nil {
		return nil
	}
	var inner []*gojq.Query
	switch t.Type {
	case gojq.TermTypeIdentity, gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse, gojq.TermTypeNumber:
	case gojq.TermTypeIndex:
		if err := allowedIndex(t.Index); err != nil {
			return err
		}
	case gojq.TermTypeString:
		inner = t.Str.Queries
	case gojq.TermTypeFunc:
		name := t.Func.Name + "/" + strconv.Itoa(len(t.Func.Args))
		if t.Func.Name[0] != '$' && !slices.Contains(harmless, name) && !slices.Contains(ours, name) {
			return no("the function '" + t.Func.Name + "'")
		}
		if t.Func.Name == "$ENV" || t.Func.Name == "$__loc__" {
			return no("'" + t.Func.Name + "'")
		}
		inner = t.Func.Args
	case gojq.TermTypeQuery:
		inner = []*gojq.Query{t.Query}
	case gojq.TermTypeUnary:
		if err := allowedTerm(t.Unary.Term); err != nil {
			return err
		}
	case gojq.TermTypeIf:
		inner = []*gojq.Query{t.If.Cond, t.If.Then, t.If.Else}
		for _, e := range t.If.Elif {
			inner = append(inner, e.Cond, e.Then)
		}
	default:
		return no("a part of it")
	}
	for _, q := range inner {
		if err := allowed(q); err != nil {
			return err
		}
	}
	for _, s := range t.SuffixList {
		if err := allowedIndex(s.Index); err != nil {
			return err
		}
	}
	return nil
}

func allowedIndex(i *gojq.Index) error {
	if i == nil {
		return nil
	}
	if i.Str != nil {
		for _, q := range i.Str.Queries {
			if err := allowed(q); err != nil {
				return err
			}
		}
	}
	if err := allowed(i.Start); err != nil {
		return err
	}
	return allowed(i.End)
}

func no(what string) error {
	return &core.Failure{Code: core.NotAChoice, Message: fmt.Sprintf("%s is not allowed in it", what)}
}

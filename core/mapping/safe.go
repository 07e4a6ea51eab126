package mapping

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/itchyny/gojq"

	"tenure/core"
)

// harmless are the functions that an administrator's expression may call, by name
// and number of arguments. Ours are added to them. growing and literal say of some
// what else holds.
var harmless = []string{
	"abs/0", "ascii_downcase/0", "ascii_upcase/0", "contains/1", "empty/0", "endswith/1", "false/0", "first/0", "first/1", "floor/0", "has/1", "join/1", "keys/0",
	"last/0", "length/0", "ltrimstr/1", "not/0", "null/0", "round/0", "rtrimstr/1", "select/1", "sort/0", "split/1", "startswith/1", "test/1", "tonumber/0",
	"tostring/0", "trim/0", "true/0", "type/0", "unique/0",
}

var (
	// growing are those that may return more than they are given. What they return
	// is measured.
	growing = []string{"join/1", "split/1", "tostring/0"}
	// literal are those whose argument must stand in the expression: with one out of
	// the input they take its length squared, in time or in memory.
	literal = []string{"contains/1", "join/1", "split/1", "test/1"}
)

// Functions that restrict puts into an expression. Nobody can write them: they are
// not in harmless.
const (
	bounded = "_bounded" // fails on more than maxPathOutput
	numeric = "_numeric" // fails on what is no number, or one too long
	key     = "_key"     // fails on lists and objects
)

const (
	// maxSeparator is the greatest length of what join puts between texts.
	maxSeparator = 10
	// maxParts is of how many parts a text with values in it consists at most.
	maxParts = 20
	// maxRegexp is of how many instructions a regular expression may consist, each
	// of which may be looked at once for each character.
	maxRegexp = 200
)

// restrict returns a *core.Failure that names the first part of an administrator's
// query that is not allowed, and makes of the query one that is bounded.
//
// There is no way to repeat anything (recursion, reduce, foreach, range, limit,
// ".."), to bind variables or define functions, to build arrays or objects, to
// write anything or to reach anything but the input and the variables. What is left
// is bounded so:
//
//   - Memory. Paths yield parts of the input, which they share with it. What puts
//     values together (+, texts with values in them, and growing) takes a fixed
//     multiple of what it is given, and what comes out of it is measured before it
//     is used further: a chain of doublings ends at maxPathOutput.
//   - Time. jq looks at the clock between its steps. A step takes the size of what it
//     is given, or that times its logarithm (sort), or times a constant: those that
//     could take the square of it (literal, arithmetic of lists and of endless
//     numbers, the places of a list in another) are given a literal or numbers only,
//     and numbers are short (see Decode and prelude).
//     How often steps are taken is bounded by the clock alone, where iterations
//     stand on both sides of an operator.
func restrict(q *gojq.Query) error {
	if q == nil {
		return nil
	}
	switch {
	case q.Meta != nil, len(q.Imports) > 0:
		return no("a module")
	case len(q.FuncDefs) > 0:
		return no("a function definition")
	case len(q.Patterns) > 0:
		return no("'as'")
	}
	for _, part := range []*gojq.Query{q.Left, q.Right} {
		if err := restrict(part); err != nil {
			return err
		}
	}
	switch q.Op {
	case 0, gojq.OpPipe, gojq.OpAlt, gojq.OpEq, gojq.OpNe, gojq.OpGt, gojq.OpLt, gojq.OpGe, gojq.OpLe, gojq.OpAnd, gojq.OpOr:
	case gojq.OpAdd:
		whole := *q
		*q = *piped(&whole, bounded)
		return nil
	case gojq.OpSub, gojq.OpMul, gojq.OpDiv:
		q.Left, q.Right = piped(q.Left, numeric), piped(q.Right, numeric)
	default:
		return no("'" + q.Op.String() + "'")
	}
	return restrictTerm(q.Term)
}

// piped returns a query whose outputs go through a function.
func piped(q *gojq.Query, function string) *gojq.Query {
	return &gojq.Query{Left: q, Op: gojq.OpPipe, Right: &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: function}}}}
}

// forbidden are kinds of terms as people know them.
var forbidden = map[gojq.TermType]string{
	gojq.TermTypeRecurse: "'..'", gojq.TermTypeArray: "making a list", gojq.TermTypeObject: "making an object", gojq.TermTypeFormat: "a format",
	gojq.TermTypeReduce: "'reduce'", gojq.TermTypeForeach: "'foreach'", gojq.TermTypeLabel: "'label'", gojq.TermTypeBreak: "'break'", gojq.TermTypeTry: "'try'",
}

func restrictTerm(t *gojq.Term) error {
	if t == nil {
		return nil
	}
	for _, s := range t.SuffixList {
		if err := restrictIndex(s.Index); err != nil {
			return err
		}
	}
	var inner []*gojq.Query
	grows := false
	switch t.Type {
	case gojq.TermTypeIdentity, gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse, gojq.TermTypeNumber:
	case gojq.TermTypeIndex:
		return restrictIndex(t.Index)
	case gojq.TermTypeString:
		if inner = t.Str.Queries; len(inner) > maxParts {
			return no(fmt.Sprintf("a text of more than %d parts", maxParts))
		}
		grows = len(inner) > 0
	case gojq.TermTypeFunc:
		name := t.Func.Name + "/" + strconv.Itoa(len(t.Func.Args))
		switch {
		case t.Func.Name == "$ENV", t.Func.Name == "$__loc__":
			return no("'" + t.Func.Name + "'")
		case t.Func.Name[0] != '$' && !slices.Contains(harmless, name) && !slices.Contains(ours, name):
			return no("the function '" + name + "'")
		}
		inner, grows = t.Func.Args, slices.Contains(growing, name)
		if slices.Contains(literal, name) {
			if err := restrictLiteral(t.Func.Name, inner[0]); err != nil {
				return err
			}
		}
	case gojq.TermTypeQuery:
		inner = []*gojq.Query{t.Query}
	case gojq.TermTypeUnary:
		return restrictTerm(t.Unary.Term)
	case gojq.TermTypeIf:
		inner = []*gojq.Query{t.If.Cond, t.If.Then, t.If.Else}
		for _, e := range t.If.Elif {
			inner = append(inner, e.Cond, e.Then)
		}
	default:
		return no(forbidden[t.Type])
	}
	for _, q := range inner {
		if err := restrict(q); err != nil {
			return err
		}
	}
	if grows {
		whole := *t
		whole.SuffixList = nil
		*t = gojq.Term{Type: gojq.TermTypeQuery, Query: piped(&gojq.Query{Term: &whole}, bounded), SuffixList: t.SuffixList}
	}
	return nil
}

// restrictLiteral checks the argument of one of the functions in literal.
func restrictLiteral(function string, argument *gojq.Query) error {
	t := argument.Term
	if t == nil || t.Type != gojq.TermTypeString || len(t.Str.Queries) > 0 || len(t.SuffixList) > 0 {
		return no("the function '" + function + "' with anything but a text in quotes")
	}
	switch function {
	case "join":
		if utf8.RuneCountInString(t.Str.Str) > maxSeparator {
			return no(fmt.Sprintf("the function 'join' with more than %d characters", maxSeparator))
		}
	case "test":
		parsed, err := syntax.Parse(t.Str.Str, syntax.Perl)
		if err != nil {
			return &core.Failure{Code: core.Malformed, Message: fmt.Sprintf("the regular expression %q cannot be read: %v", t.Str.Str, err)}
		}
		if compiled, err := syntax.Compile(parsed.Simplify()); err != nil || len(compiled.Inst) > maxRegexp {
			return no("a regular expression with so many parts")
		}
	}
	return nil
}

// restrictIndex restricts what stands in brackets or is a name: what it yields must
// be a text or a number. A list would be looked for at all places.
func restrictIndex(i *gojq.Index) error {
	if i == nil {
		return nil
	}
	if i.Str != nil {
		return restrictTerm(&gojq.Term{Type: gojq.TermTypeString, Str: i.Str})
	}
	for _, q := range []*gojq.Query{i.Start, i.End} {
		if err := restrict(q); err != nil {
			return err
		}
	}
	if i.Start != nil && i.Start.Term == nil || i.Start != nil && i.Start.Term.Type != gojq.TermTypeNumber && i.Start.Term.Type != gojq.TermTypeString {
		i.Start = piped(i.Start, key)
	}
	return nil
}

func no(what string) error {
	return &core.Failure{Code: core.NotAChoice, Message: what + " is not allowed in it"}
}

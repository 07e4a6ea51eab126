package mapping

import (
	"strconv"

	"github.com/itchyny/gojq"
)

// Read is a path to what an expression reads.
type Read struct {
	// Variable is the variable that it begins with, without the dollar sign; empty for
	// the input.
	Variable string
	// Path are the names of members and the places in lists, string and int.
	Path []any
}

// Reads returns what an expression reads, as far as it can be told without
// evaluating it, each once and in the order in which it is written: what stands
// behind a pipe is not about the input any more, and what is looked up by what is
// found elsewhere, or in each element of a list, ends at what is known. There is none
// where the expression cannot be read.
func Reads(expression string) []Read {
	query, err := parse(expression, maxExpression)
	if err != nil {
		return nil
	}
	var all []Read
	known := map[string]bool{}
	found := func(r Read) {
		text := r.Variable
		for _, at := range r.Path {
			switch at := at.(type) {
			case string:
				text += strconv.Quote(at)
			case int:
				text += "." + strconv.Itoa(at)
			}
		}
		if !known[text] && len(r.Path) > 0 {
			known[text], all = true, append(all, r)
		}
	}
	readsOf(query, found)
	return all
}

func readsOf(q *gojq.Query, found func(Read)) {
	if q == nil {
		return
	}
	readsOf(q.Left, found)
	if q.Op != gojq.OpPipe {
		readsOf(q.Right, found)
	}
	t := q.Term
	if t == nil {
		return
	}
	var path Read
	switch t.Type {
	case gojq.TermTypeIdentity:
	case gojq.TermTypeIndex:
		at := place(t.Index)
		if at == nil {
			return
		}
		path.Path = append(path.Path, at)
	case gojq.TermTypeFunc:
		if t.Func.Name[0] != '$' {
			for _, argument := range t.Func.Args {
				readsOf(argument, found)
			}
			return
		}
		path.Variable = t.Func.Name[1:]
	case gojq.TermTypeQuery:
		readsOf(t.Query, found)
		return
	case gojq.TermTypeUnary:
		readsOf(&gojq.Query{Term: t.Unary.Term}, found)
		return
	case gojq.TermTypeString:
		for _, part := range t.Str.Queries {
			readsOf(part, found)
		}
		return
	case gojq.TermTypeArray:
		readsOf(t.Array.Query, found)
		return
	case gojq.TermTypeObject:
		for _, member := range t.Object.KeyVals {
			readsOf(member.Val, found)
		}
		return
	case gojq.TermTypeIf:
		readsOf(t.If.Cond, found)
		readsOf(t.If.Then, found)
		for _, e := range t.If.Elif {
			readsOf(e.Cond, found)
			readsOf(e.Then, found)
		}
		readsOf(t.If.Else, found)
		return
	default:
		return
	}
	for _, s := range t.SuffixList {
		if s.Iter {
			break
		}
		if s.Index == nil {
			continue
		}
		at := place(s.Index)
		if at == nil {
			break
		}
		path.Path = append(path.Path, at)
	}
	found(path)
}

// place returns the name or place that stands in an expression; nil if it is found
// elsewhere.
func place(i *gojq.Index) any {
	text := func(s *gojq.String) any {
		if s == nil || len(s.Queries) > 0 {
			return nil
		}
		return s.Str
	}
	switch {
	case i.Name != "":
		return i.Name
	case i.Str != nil:
		return text(i.Str)
	case i.IsSlice || i.Start == nil || i.Start.Term == nil || len(i.Start.Term.SuffixList) > 0:
		return nil
	case i.Start.Term.Type == gojq.TermTypeString:
		return text(i.Start.Term.Str)
	case i.Start.Term.Type == gojq.TermTypeNumber:
		if n, err := strconv.Atoi(i.Start.Term.Number); err == nil {
			return n
		}
	}
	return nil
}

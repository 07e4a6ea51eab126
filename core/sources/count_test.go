package sources_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/mapping"
	"tenure/core/sources"
)

// conditions draws a filter over the companies of the made-up system.
func conditions(t *rapid.T, other string) *sources.Filter {
	f := &sources.Filter{Conditions: []mapping.Condition{}}
	for range rapid.IntRange(0, 3).Draw(t, "conditions") {
		path := rapid.SampledFrom([]string{".id", ".name", ".tier", ".owner.city"}).Draw(t, "path")
		operator := rapid.SampledFrom(mapping.Operators).Draw(t, "operator")
		value := rapid.SampledFrom([]string{"1", "3", "5"}).Draw(t, "value")
		if operator == "eq" || operator == "ne" || strings.HasSuffix(strings.ToLower(operator), "like") {
			value = rapid.SampledFrom([]string{"a", "b", "gold", "3"}).Draw(t, "text")
		}
		f.Conditions = append(f.Conditions, mapping.Condition{Path: path, Operator: operator, Value: value})
	}
	f.Any = rapid.Bool().Draw(t, "any")
	switch rapid.IntRange(0, 3).Draw(t, "also in") {
	case 0:
		f.AlsoIn = &sources.AlsoIn{Source: other}
	case 1:
		f.AlsoIn = &sources.AlsoIn{Source: other, Path: ".id"}
	}
	return f
}

// TestACountIsWhatARunDoes counts for filters that are not stored, stores them, and
// compares what a run does.
func TestACountIsWhatARunDoes(t *testing.T) {
	w := newWorld(t)
	only := map[string]bool{"people": false, "tickets": false}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		site, other := fmt.Sprintf("a%d", n), fmt.Sprintf("b%d", n)
		account := func(i int) string { return fmt.Sprintf("%d-%d", n, i) }
		for i := range rapid.IntRange(1, 9).Draw(rt, "companies") {
			company := row{"id": i, "name": rapid.SampledFrom([]string{"a", "ab", "c", "3"}).Draw(rt, "name"), "account_no": account(i),
				"tier": rapid.SampledFrom([]any{nil, "gold", 5, true}).Draw(rt, "tier"), "joined": "2024-01-02"}
			switch rapid.IntRange(0, 7).Draw(rt, "trouble") {
			case 0:
				company["account_no"] = nil
			case 1:
				company["account_no"] = account(0)
			case 2:
				company["joined"] = nil
			case 3:
				company["owner"] = row{"city": "b"}
			case 4:
				company["deleted"] = true
			}
			w.system.put(site+"/companies", company)
			if rapid.Bool().Draw(rt, "known to the other one") {
				w.system.put(other+"/companies", row{"id": i, "name": "a", "account_no": account(i)})
			}
		}
		two := w.source(other, func(s *sources.Source) { s.Streams, s.Prefix = only, "two-" })
		w.done(two)
		one := w.source(site, func(s *sources.Source) {
			s.SystemOfRecord, s.Inactivate, s.Streams = true, true, only
		})
		defer func() {
			for _, s := range []*sources.Source{one, two} {
				if err := w.Delete(t.Context(), "acme", s.ID); err != nil {
					rt.Fatal(err)
				}
			}
		}()
		inactive := func() (n int) {
			for i := range 9 {
				if w.show("accounts", "", account(i), "is_active") == `{"is_active":false}` {
					n++
				}
			}
			return n
		}
		for i := range 2 {
			stored, err := w.Get(t.Context(), "acme", one.ID)
			if err != nil {
				rt.Fatal(err)
			}
			changed := *stored
			changed.Filter = conditions(rt, two.ID)
			draft := stored.With(changed)
			before := w.writes
			c, err := w.Count(t.Context(), "acme", draft, 1000)
			if err != nil {
				rt.Fatal(err)
			}
			if w.writes != before {
				rt.Fatalf("it has written %d times", w.writes-before)
			}
			was := inactive()
			if err := w.Update(t.Context(), "acme", draft); err != nil {
				rt.Fatal(err)
			}
			r := w.run(draft, true)
			got := r.Total()
			if !c.All || c.Why != "" || c.Passed.Count+c.Mismatched.Count+c.LeftOut()+c.Skipped != c.Read || len(c.Conditions) != len(draft.Filter.Conditions) && !draft.Filter.Any {
				rt.Fatalf("%+v", c)
			}
			// What waits is tried once more before the others, and counted twice by a later run.
			if c.New != got.Inserted || i == 0 && (c.Passed.Count-c.Refused.Count != got.Inserted+got.Changed+got.Unchanged || c.Refused.Count != got.Failed ||
				c.LeftOut() != got.Filtered || c.Mismatched.Count != got.Mismatched || c.Left.Count != 0) {
				rt.Fatalf("counted %+v, but the run has %s", c, counts(r))
			}
			if now := inactive(); now-was != c.Left.Count {
				rt.Fatalf("%d are marked inactive, counted %+v", now-was, c)
			}
		}
	})
}

func TestACountTellsOfEachKind(t *testing.T) {
	w := newWorld(t)
	w.someRows("one")
	w.system.put("one/companies", row{"id": 5, "name": "Epsilon", "joined": nil, "account_no": "e"}, row{"id": 6, "name": "Again", "account_no": "beta"})
	s := w.source("one", sor)
	w.done(s)
	draft := *s
	draft.Filter = &sources.Filter{Conditions: []mapping.Condition{{Path: ".name", Operator: "notLike", Value: "ACM"}, {Path: ".id", Operator: "ne", Value: "4"}}}
	c, err := w.Count(t.Context(), "acme", s.With(draft), 1000)
	if err != nil {
		t.Fatal(err)
	}
	told := func(of sources.Tally) string {
		var all []string
		for _, e := range of.Examples {
			all = append(all, e.ID+" "+e.Label+" "+e.Account+" "+e.Message)
		}
		return fmt.Sprint(of.Count, " ", strings.Join(all, "; "))
	}
	for got, want := range map[string]string{
		told(c.Passed):        "2 2 Beta beta ; 5 Epsilon e ",
		told(c.Refused):       "1 5 Epsilon e Missing required field for insert: 'join_date'",
		told(c.Conditions[0]): "1 1 Acme 1042 ",
		told(c.Conditions[1]): "1 4 Delta delta ",
		told(c.Left):          "2 1 Acme 1042 ; 4 Delta delta ",
		told(c.Mismatched): "2 3 Gamma  There is nothing that names its account: Account field of companies is empty; " +
			"6 Again beta Another record of the system, 2, has the account_id 'beta', too",
		fmt.Sprint(c.Paths): "[{.account_no 1042} {.at " + fmt.Sprint(w.at("one/companies", 1)) + "} {.id 1} {.joined 2024-01-02} {.name Acme} {.tier gold}]",
	} {
		if got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	anyOf := *s
	anyOf.Filter = &sources.Filter{Any: true, Conditions: []mapping.Condition{{Path: ".name", Operator: "eq", Value: "Acme"}, {Path: ".id", Operator: "eq", Value: "4"}}}
	one, err := w.Count(t.Context(), "acme", s.With(anyOf), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if got := told(one.Passed) + "| " + told(one.Conditions[0]); got != "2 1 Acme 1042 ; 4 Delta delta | 2 2 Beta beta ; 5 Epsilon e " || len(one.Conditions) != 1 {
		t.Error(got)
	}
	// As far as it has come.
	if c, err := w.Count(t.Context(), "acme", s.With(draft), 3); err != nil || c.Read != 3 || c.All {
		t.Errorf("%+v, %v", c, err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	n := 0
	w.system.refuse = func(_ int, r *http.Request) *http.Response {
		if n++; n == 3 { // after the check and the first page
			<-r.Context().Done()
		}
		return nil
	}
	if c, err := w.Count(ctx, "acme", s.With(draft), 1000); err != nil || c.Read != 3 || c.All || c.Why == "" {
		t.Errorf("%+v, %v", c, err)
	}
	w.system.refuse = nil
	if _, err := w.Count(ctx, "acme", s.With(draft), 1000); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nothing was read in time: %v", err)
	}
}

func TestAFilterThatCannotBeAppliedNamesItsCondition(t *testing.T) {
	w := newWorld(t)
	w.someRows("one")
	s := w.source("one", sor)
	type of = [][3]string
	with := func(rows of) *sources.Source {
		draft := *s
		draft.Filter = &sources.Filter{Conditions: make([]mapping.Condition, len(rows))}
		for i, row := range rows {
			c := &draft.Filter.Conditions[i]
			c.Path, c.Operator, c.Value = row[0], row[1], row[2]
		}
		return s.With(draft)
	}
	good := [3]string{".name", "ne", "x"}
	for field, draft := range map[string]*sources.Source{
		"filter.conditions.1.path":     with(of{good, {".name.first", "eq", "x"}}),
		"filter.conditions.0.path":     with(of{{"range(9)", "eq", "x"}, good}),
		"filter.conditions.0.operator": with(of{{".name", "is", "x"}}),
		"filter.conditions.0.value":    with(of{{".name", "lt", "x"}}),
		"filter.conditions.2.value":    with(of{good, good, {".name", "eq", strings.Repeat("x", 513)}}),
		"filter.conditions":            with(make(of, 51)),
	} {
		_, err := w.Count(t.Context(), "acme", draft, 1000)
		if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	draft := *s
	draft.Filter = &sources.Filter{AlsoIn: &sources.AlsoIn{Source: w.source("two", func(s *sources.Source) { s.Prefix = "two-" }).ID, Path: ".name.id"}}
	_, err := w.Count(t.Context(), "acme", s.With(draft), 1000)
	if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Field != "filter.also_in.path" {
		t.Error(err)
	}
	if _, err := w.Count(t.Context(), "acme", &sources.Source{ID: s.ID, Connector: "desk", Settings: s.Settings}, 1000); err == nil {
		t.Error("another source than the System of Record has a filter")
	}
	if err := w.SetCredentials(t.Context(), "acme", s, "key", map[string]string{"api_key": "wrong"}, ann); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Count(t.Context(), "acme", s, 1000); !errors.Is(err, connector.ErrCredentials) || !sources.Tells(err) {
		t.Error(err)
	}
}

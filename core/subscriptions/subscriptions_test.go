package subscriptions_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/revenue"
	"tenure/core/schema"
	"tenure/core/subscriptions"
)

const day = 24 * 60 * 60 * 1000

var fields = subscriptions.Family.Schema

// change lays an event, the members of an object, over a subscription at now;
// put says that it is a PUT.
func change(old schema.Record, now int64, put bool, members string) (schema.Record, *core.Failure) {
	object := []byte(`{"subscription_id":"s","account_id":"a",` + members + `}`)
	if err := schema.Valid(object); err != nil {
		panic(err)
	}
	p, failure := fields.Decode(object, true)
	if failure != nil {
		return nil, failure
	}
	return subscriptions.Family.Merge(resource.Change{Old: old, Patch: p, Now: now, Modify: put})
}

// must is change of a POST that is not refused.
func must(t interface{ Fatalf(string, ...any) }, old schema.Record, now int64, members string) schema.Record {
	r, failure := change(old, now, false, members)
	if failure != nil {
		t.Fatalf("%s: %v", members, failure)
	}
	return r
}

// told writes a history, a segment a line: "start-end revenue/cycle plan source
// due", each left out as "_", then how it began and ended.
func told(h revenue.History) string {
	var lines []string
	date := func(t int64) string {
		if t == revenue.None || t == revenue.Open {
			return "_"
		}
		return strconv.FormatInt(t, 10)
	}
	text := func(t string) string {
		if t == "" {
			return "_"
		}
		return t
	}
	for _, s := range h {
		line := fmt.Sprintf("%s-%s %d/%d%s %s %s %s", date(s.Start), date(s.End), s.Revenue, s.Length, s.Unit, text(s.Plan), text(s.Source), date(s.NextRenewal))
		if s.IsRenewal {
			line += " renewed:" + date(s.Renewed)
		}
		if s.IsEnd {
			line += " ended"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

// begin is the event that the tables below start from.
const begin = `"event":"revenue","effective_start_date":10,"total_revenue":100,"cycle_unit":"month","cycle_length":1,"plan_code":"p","source":"crm","next_renewal_date":50`

// Contract S1, Q18, Q19: what of an event may be left out, and what a null says.
func TestEventsAreReadFieldByField(t *testing.T) {
	const (
		first = "10-20 100/1month p crm 50, "
		at20  = `"effective_start_date":20,"total_revenue":200,"cycle_unit":"year","cycle_length":2`
	)
	for _, c := range []struct{ event, want string }{
		{`"event":"revenue",` + at20, first + "20-_ 200/2year p crm 50"},
		{`"event":"revenue",` + at20 + `,"plan_code":null,"source":null,"next_renewal_date":null`, first + "20-_ 200/2year _ _ _"},
		{`"event":"revenue",` + at20 + `,"plan_code":"","source":""`, first + "20-_ 200/2year _ _ 50"},
		{`"event":"revenue",` + at20 + `,"plan_code":"q","source":"erp","next_renewal_date":70`, first + "20-_ 200/2year q erp 70"},
		{`"event":"revenue",` + at20 + `,"effective_end_date":30`, first + "20-30 200/2year p crm 50, 30-_ 100/1month p crm 50"},
		{`"event":"revenue",` + at20 + `,"effective_end_date":null`, first + "20-_ 200/2year p crm 50"},
		{`"event":"revenue",` + at20 + `,"previous_renewal_date":50`, first + "20-_ 200/2year p crm 50"},
		{`"event":"revenue","effective_start_date":20,"total_revenue":0,"cycle_unit":"day","cycle_length":2147483647`, first + "20-_ 0/2147483647day p crm 50"},
		{`"event":"revenue","effective_start_date":20,"total_revenue":-9223372036854775808,"cycle_unit":"day","cycle_length":1e0`, first + "20-_ -9223372036854775808/1day p crm 50"},

		{`"event":"renewal",` + at20, first + "20-_ 200/2year p crm _ renewed:50"},
		{`"event":"renewal",` + at20 + `,"next_renewal_date":90`, first + "20-_ 200/2year p crm 90 renewed:50"},
		{`"event":"renewal",` + at20 + `,"next_renewal_date":null`, first + "20-_ 200/2year p crm _ renewed:50"},
		{`"event":"renewal",` + at20 + `,"previous_renewal_date":50`, first + "20-_ 200/2year p crm _ renewed:50"},
		{`"event":"renewal",` + at20 + `,"previous_renewal_date":null`, first + "20-_ 200/2year p crm _ renewed:50"},
		{`"event":"renewal",` + at20 + `,"previous_renewal_date":51`, first + "20-_ 200/2year p crm _ renewed:50"}, // matches none: ignored

		{`"event":"end","effective_start_date":20`, "10-20 100/1month p crm 50 ended"},
		{`"event":"end","effective_start_date":20,"effective_end_date":5,"total_revenue":null,"cycle_unit":"day","cycle_length":0`, "10-20 100/1month p crm 50 ended"},
		{`"event":"end","effective_start_date":20,"plan_code":"q","source":"erp","next_renewal_date":70`, "10-20 100/1month p crm 50 ended"},
		{`"event":"end","effective_start_date":10`, ""},

		{`"event":"current","effective_start_date":10,"total_revenue":200,"cycle_unit":"year","cycle_length":2`, "10-86400000 100/1month p crm 50, 86400000-_ 200/2year p crm 50"},
		{`"event":"current","effective_start_date":10,"total_revenue":100,"cycle_unit":"month","cycle_length":1,"plan_code":null`, "10-86400000 100/1month p crm 50, 86400000-_ 100/1month _ crm 50"},
		{`"event":"current","effective_start_date":10,"total_revenue":100,"cycle_unit":"month","cycle_length":1,"next_renewal_date":60`, "10-86400000 100/1month p crm 50, 86400000-_ 100/1month p crm 60 renewed:50"},
		{`"event":"current","effective_start_date":10,"total_revenue":100,"cycle_unit":"month","cycle_length":1,"effective_end_date":30`, "10-30 100/1month p crm 50 ended"},
		{`"event":"current","effective_start_date":10,"total_revenue":100,"cycle_unit":"month","cycle_length":1`, "10-_ 100/1month p crm 50"},
	} {
		old := must(t, nil, day, begin)
		if got := told(subscriptions.HistoryOf(must(t, old, day+5, c.event))); got != c.want {
			t.Errorf("%s: %s, want %s", c.event, got, c.want)
		}
		if got := told(subscriptions.HistoryOf(old)); got != "10-_ 100/1month p crm 50" {
			t.Errorf("%s changed the record it was laid over: %s", c.event, got)
		}
	}
}

func TestAPutWithoutAnEventChangesTheTermsInForceAtItsStart(t *testing.T) {
	old := must(t, nil, day, begin)
	for _, c := range []struct{ patch, want string }{
		{`"effective_start_date":20,"total_revenue":200`, "10-20 100/1month p crm 50, 20-_ 200/1month p crm 50"},
		{`"effective_start_date":20,"cycle_unit":"year"`, "10-20 100/1month p crm 50, 20-_ 100/1year p crm 50"},
		{`"effective_start_date":20,"cycle_length":3,"plan_code":"q"`, "10-20 100/1month p crm 50, 20-_ 100/3month q crm 50"},
		{`"effective_start_date":10,"total_revenue":7`, "10-_ 7/1month p crm 50"},
		{`"effective_start_date":20,"effective_end_date":30,"total_revenue":7`, "10-20 100/1month p crm 50, 20-30 7/1month p crm 50, 30-_ 100/1month p crm 50"},
		{`"effective_start_date":5,"total_revenue":7,"cycle_unit":"day","cycle_length":9`, "5-_ 7/9day _ _ _"},
		{`"event":"end","effective_start_date":20`, "10-20 100/1month p crm 50 ended"},
	} {
		r, failure := change(old, day+5, true, c.patch)
		if failure != nil || told(subscriptions.HistoryOf(r)) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.patch, told(subscriptions.HistoryOf(r)), failure, c.want)
		}
	}
	for patch, field := range map[string]string{
		`"effective_start_date":5,"cycle_unit":"day","cycle_length":9`:  "total_revenue", // nothing in force then
		`"effective_start_date":5,"total_revenue":7,"cycle_unit":"day"`: "cycle_length",
		`"effective_start_date":20,"total_revenue":null`:                "total_revenue",
		`"effective_start_date":20,"cycle_unit":""`:                     "cycle_unit",
		`"total_revenue":7`: "effective_start_date",
		`"event":null,"effective_start_date":20,"total_revenue":7,"cycle_unit":"day","cycle_length":1`:                      "event",
		`"event":"revenue","effective_start_date":20,"total_revenue":7,"cycle_unit":"day"`:                                  "cycle_length", // a PUT that names it says it whole
		`"event":"renewal","effective_start_date":20,"cycle_length":1,"cycle_unit":"day","previous_renewal_date":50`:        "total_revenue",
		`"event":"current","effective_start_date":20,"total_revenue":7,"cycle_length":1,"next_renewal_date":8,"source":"x"`: "cycle_unit",
	} {
		if _, failure := change(old, day+5, true, patch); failure == nil || failure.Code != core.MissingField || failure.Field != field {
			t.Errorf("%s: %+v, want %s missing", patch, failure, field)
		}
	}
}

func TestEventsAreRefusedByName(t *testing.T) {
	old := must(t, nil, day, begin)
	const whole = `"effective_start_date":20,"total_revenue":1,"cycle_unit":"day","cycle_length":1`
	without := func(field string) string {
		var kept []string
		for member := range strings.SplitSeq(whole, ",") {
			if !strings.HasPrefix(member, `"`+field+`"`) {
				kept = append(kept, member)
			}
		}
		return strings.Join(kept, ",")
	}
	type refusal struct {
		old   schema.Record
		event string
		code  core.Code
		field string
	}
	cases := []refusal{
		{nil, whole, core.MissingField, "event"}, // only a PUT may leave it out
		{old, whole, core.MissingField, "event"},
		{nil, `"event":"end","effective_start_date":1`, core.NotFound, "subscription_id"}, // Q19
		{old, `"event":"end"`, core.MissingField, "effective_start_date"},
		{old, `"event":"end","effective_start_date":null`, core.MissingField, "effective_start_date"},
	}
	for _, kind := range []string{"revenue", "renewal", "current"} {
		event := `"event":"` + kind + `",`
		for _, o := range []schema.Record{nil, old} {
			for _, field := range []string{"effective_start_date", "total_revenue", "cycle_unit", "cycle_length"} {
				cases = append(cases, refusal{o, event + without(field), core.MissingField, field},
					refusal{o, event + without(field) + `,"` + field + `":null`, core.MissingField, field})
			}
			for _, length := range []string{"0", "-1", "-2147483648"} { // Q19
				cases = append(cases, refusal{o, event + without("cycle_length") + `,"cycle_length":` + length, core.OutOfRange, "cycle_length"})
			}
			for _, end := range []string{"20", "19", "-5"} { // Q19
				cases = append(cases, refusal{o, event + whole + `,"effective_end_date":` + end, core.OutOfRange, "effective_end_date"})
			}
			for member, code := range map[string]core.Code{ // Q19: exact, lower case
				`"cycle_unit":"Month"`: core.NotAChoice, `"cycle_unit":"week"`: core.NotAChoice, `"cycle_unit":1`: core.WrongType,
				`"cycle_length":1.5`: core.WrongType, `"cycle_length":2147483648`: core.OutOfRange, `"total_revenue":"1"`: core.WrongType,
				`"total_revenue":9223372036854775808`: core.OutOfRange, `"effective_start_date":8640000000000001`: core.OutOfRange,
				`"effective_end_date":-8640000000000001`: core.OutOfRange, `"next_renewal_date":9223372036854775807`: core.OutOfRange,
				`"previous_renewal_date":-9223372036854775808`: core.OutOfRange, `"records":[]`: core.ReadOnly, `"start_date":1`: core.ReadOnly,
			} {
				field := strings.Split(member, `"`)[1]
				cases = append(cases, refusal{o, event + without(field) + "," + member, code, field})
			}
		}
	}
	for _, kind := range []string{"Revenue", "END", "renew", " end"} {
		cases = append(cases, refusal{nil, `"event":"` + kind + `",` + whole, core.NotAChoice, "event"})
	}
	for _, c := range cases {
		for _, put := range []bool{false, true} {
			if put && c.old == nil || put && c.field == "event" {
				continue
			}
			_, failure := change(c.old, day, put, c.event)
			if failure == nil || failure.Code != c.code || failure.Field != c.field || c.field != "subscription_id" && !strings.Contains(failure.Message, "'"+c.field+"'") {
				t.Errorf("%s (put: %t): %+v, want %s of %s", c.event, put, failure, c.code, c.field)
			}
			if want := "Missing required field: '" + c.field + "'"; c.code == core.MissingField && failure != nil && failure.Message != want {
				t.Errorf("%s (put: %t): %q, want %q: it is required in every event", c.event, put, failure.Message, want)
			}
		}
	}
}

func TestTheEndOfWhatNeverBeganIsTheSameTheSecondTime(t *testing.T) {
	r := must(t, nil, day, begin)
	const end = `"event":"end","effective_start_date":10`
	r = must(t, r, day, end)
	again := must(t, r, day, end)
	if !fields.Equal(r, again) || len(subscriptions.HistoryOf(again)) != 0 {
		t.Errorf("%s has become %s", fields.AppendStored(nil, r), fields.AppendStored(nil, again))
	}
	if got := told(subscriptions.HistoryOf(must(t, again, day, begin))); got != "10-_ 100/1month p crm 50" {
		t.Errorf("begun anew it is %s", got)
	}
}

func TestOnlyWhatAnEventMadeIsStored(t *testing.T) {
	r := must(t, nil, 15, begin+`,"effective_end_date":90,"previous_renewal_date":3,"custom_dimensions":[{"key":"k"}]`)
	for _, c := range []struct{ event, want string }{
		{`"event":"renewal","effective_start_date":20,"total_revenue":2,"cycle_unit":"day","cycle_length":3,"source":"erp"`,
			`{"subscription_id":"s","account_id":"a","start_date":10,"records":[[10,20,null,null,50,null,"p",100,"month",1,"crm"],` +
				`[20,null,null,true,null,50,"p",2,"day",3,"erp"]],"custom_dimensions":[["k"]]}`},
		{`"event":"end","effective_start_date":15,"source":"erp"`,
			`{"subscription_id":"s","account_id":"a","start_date":10,"records":[[10,15,true,null,50,null,"p",100,"month",1,"crm"]],"custom_dimensions":[["k"]]}`},
		{`"event":"end","effective_start_date":10`, `{"subscription_id":"s","account_id":"a","custom_dimensions":[["k"]]}`},
	} {
		r = must(t, r, 15, c.event)
		if got := string(fields.AppendStored(nil, r)); got != c.want {
			t.Errorf("after %s: %s, want %s", c.event, got, c.want)
		}
	}
}

// Contract Q20.
func TestCustomDimensionsMergeByKeyWhateverTheEvent(t *testing.T) {
	read := func(r schema.Record) string {
		return string(fields.AppendObject(nil, r, []int{fields.Ordinal("custom_dimensions")}))
	}
	var r schema.Record
	for _, c := range []struct{ event, want string }{
		{begin, `{}`},
		{begin + `,"custom_dimensions":[{"key":"b","value":"x"},{"key":"a","value":14.99}]`, `{"a":"14.99","b":"x"}`},
		{begin, `{"a":"14.99","b":"x"}`},
		{begin + `,"custom_dimensions":[]`, `{"a":"14.99","b":"x"}`},
		{`"event":"end","effective_start_date":90,"custom_dimensions":[{"key":"b","value":null},{"key":"c","value":true},{"key":"c","value":"y"}]`,
			`{"a":"14.99","b":null,"c":"y"}`},
		{`"event":"current","effective_start_date":10,"total_revenue":1,"cycle_unit":"day","cycle_length":1,"custom_dimensions":[{"key":"d"}]`,
			`{"a":"14.99","b":null,"c":"y","d":null}`},
		{begin + `,"custom_dimensions":null`, `{}`},
	} {
		r = must(t, r, day, c.event)
		if got, want := read(r), `{"custom_dimensions":`+c.want+`}`; got != want {
			t.Errorf("after %s: %s, want %s", c.event, got, want)
		}
	}
	for members, field := range map[string]string{
		`"custom_dimensions":[{"value":"x"}]`: "custom_dimensions.key", `"custom_dimensions":[{"key":null}]`: "custom_dimensions.key",
	} {
		if _, failure := change(r, day, false, begin+","+members); failure == nil || failure.Code != core.MissingField || failure.Field != field {
			t.Errorf("%s: %+v", members, failure)
		}
	}
}

// Contract S2.
func TestSubscriptionsAreShownByTheSegmentInForceOrByAll(t *testing.T) {
	r := must(t, nil, 15, begin+`,"effective_end_date":20`)
	r = must(t, r, 15, `"event":"renewal","effective_start_date":30,"total_revenue":200,"cycle_unit":"year","cycle_length":2,"custom_dimensions":[{"key":"k","value":"v"}]`)
	r = must(t, r, 15, `"event":"end","effective_start_date":40`)
	const (
		first = `{"start_date":10,"end_date":20,"is_end":false,"is_renewal":false,"expiration_date":50,"previous_renewal_date":null,` +
			`"plan_code":"p","total_revenue":100,"cycle_unit":"month","cycle_length":1,"source":"crm"}`
		second = `{"start_date":30,"end_date":40,"is_end":true,"is_renewal":true,"expiration_date":null,"previous_renewal_date":50,` +
			`"plan_code":null,"total_revenue":200,"cycle_unit":"year","cycle_length":2,"source":null}`
	)
	object := func(records string) string {
		return `{"subscription_id":"s","account_id":"a","records":[` + records + `],"custom_dimensions":{"k":"v"}}`
	}
	for now, want := range map[int64]string{9: second, 10: first, 19: first, 20: second, 30: second, 39: second, 40: second, math.MaxInt64: second} {
		current := slices.Clone(r)
		subscriptions.Family.Show(current, now)
		if got := string(fields.AppendObject(nil, current, fields.All())); got != object(want) {
			t.Errorf("at %d: %s, want %s", now, got, object(want))
		}
	}
	if subscriptions.Histories.Show != nil {
		t.Error("a history is shown by something else than itself")
	}
	if got := string(fields.AppendObject(nil, r, fields.All())); got != object(first+","+second) {
		t.Errorf("the history: %s", got)
	}
	segments := subscriptions.Segments
	var flat []string
	for _, entry := range subscriptions.Flat(r) {
		flat = append(flat, string(segments.AppendObject(nil, entry, segments.All())))
	}
	var want []string
	for _, segment := range []string{first, second} {
		segment = strings.Replace(segment, `"total_revenue"`, `"revenue"`, 1)
		want = append(want, `{"subscription_id":"s","account_id":"a",`+segment[1:len(segment)-1]+`,"custom_dimensions":{"k":"v"}}`)
	}
	if !slices.Equal(flat, want) {
		t.Errorf("flat: %s, want %s", flat, want)
	}
	nothing := must(t, r, 15, `"event":"end","effective_start_date":0`)
	subscriptions.Family.Show(nothing, 15)
	if got := string(fields.AppendObject(nil, nothing, fields.All())); got != object("") || subscriptions.Flat(nothing) != nil {
		t.Errorf("without segments: %s, flat %q", got, subscriptions.Flat(nothing))
	}
}

// Contract S6.
func TestSegmentsAreRemovedByTheirStart(t *testing.T) {
	r := must(t, nil, 15, begin)
	r = must(t, r, 15, `"event":"revenue","effective_start_date":20,"total_revenue":200,"cycle_unit":"year","cycle_length":2`)
	before := string(fields.AppendStored(nil, r))
	for _, start := range []int64{0, 9, 11, 21, revenue.None, revenue.Open} {
		if _, failure := subscriptions.RemoveSegment(start, 15)(r); failure == nil || failure.Code != core.NotFound || failure.Field != "start_date" {
			t.Errorf("at %d: %+v", start, failure)
		}
	}
	for start, want := range map[int64]string{10: "20-_ 200/2year p crm 50", 20: "10-20 100/1month p crm 50"} {
		left, failure := subscriptions.RemoveSegment(start, 15)(r)
		if failure != nil || told(subscriptions.HistoryOf(left)) != want {
			t.Errorf("without %d: %s, %v; want %s", start, told(subscriptions.HistoryOf(left)), failure, want)
			continue
		}
		if subscriptions.Outdated(left, 15) {
			t.Errorf("without %d it is shown by a segment that is gone", start)
		}
		other := 30 - start
		if last, failure := subscriptions.RemoveSegment(other, 15)(left); last != nil || failure != nil {
			t.Errorf("without any segment: %q, %v; want the subscription removed", last, failure)
		}
	}
	if after := string(fields.AppendStored(nil, r)); after != before {
		t.Errorf("the edit changed the record it was given: %s", after)
	}
}

func TestRefreshMendsWhatTimeOutdates(t *testing.T) {
	r := must(t, nil, 15, begin)
	r = must(t, r, 15, `"event":"revenue","effective_start_date":20,"total_revenue":200,"cycle_unit":"year","cycle_length":2`)
	r = must(t, r, 15, `"event":"end","effective_start_date":30`)
	ordered := fields.Ordinal("start_date")
	for now, outdated := range map[int64]bool{9: true, 10: false, 19: false, 20: true, 29: true, 30: true, 99: true} {
		if subscriptions.Outdated(r, now) != outdated {
			t.Errorf("outdated at %d: %t", now, !outdated)
		}
		before := string(fields.AppendStored(nil, r))
		fresh, failure := subscriptions.Refresh(now)(r)
		if failure != nil || subscriptions.Outdated(fresh, now) || !slices.Equal(subscriptions.HistoryOf(fresh), subscriptions.HistoryOf(r)) {
			t.Errorf("refreshed at %d: %s, %v", now, fields.AppendStored(nil, fresh), failure)
		}
		if want := map[bool]string{false: "10", true: "20"}[outdated]; string(fresh[ordered]) != want {
			t.Errorf("refreshed at %d it is ordered by %s, want %s", now, fresh[ordered], want)
		}
		if fields.Equal(fresh, r) == outdated || string(fields.AppendStored(nil, r)) != before {
			t.Errorf("at %d: %s of %s", now, fields.AppendStored(nil, fresh), before)
		}
	}
	none := must(t, r, 15, `"event":"end","effective_start_date":0`)
	fresh, failure := subscriptions.Refresh(99)(none)
	if failure != nil || subscriptions.Outdated(none, 99) || !fields.Equal(fresh, none) {
		t.Errorf("without segments: %s, %v", fields.AppendStored(nil, fresh), failure)
	}
}

// events generates the members of valid events, few enough dates apart to meet.
func events() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		date := rapid.Int64Range(-3, 9)
		kind := rapid.SampledFrom([]string{"revenue", "renewal", "end", "current"}).Draw(t, "event")
		start := date.Draw(t, "start")
		members := fmt.Sprintf(`"event":%q,"effective_start_date":%d`, kind, start*day)
		if kind != "end" {
			members += fmt.Sprintf(`,"total_revenue":%d,"cycle_unit":%q,"cycle_length":%d`, rapid.Int64().Draw(t, "revenue"),
				rapid.SampledFrom([]string{"day", "month", "year"}).Draw(t, "unit"), rapid.Int64Range(1, math.MaxInt32).Draw(t, "length"))
		}
		optional := func(name string, values ...string) {
			if value := rapid.SampledFrom(append(values, "")).Draw(t, name); value != "" {
				members += `,"` + name + `":` + value
			}
		}
		optional("effective_end_date", "null", fmt.Sprint((start+1)*day), fmt.Sprint((start+4)*day))
		for _, name := range []string{"next_renewal_date", "previous_renewal_date"} {
			optional(name, "null", fmt.Sprint(date.Draw(t, name)*day), "8640000000000000")
		}
		optional("plan_code", "null", `"p"`, `"\u0000\""`)
		optional("source", "null", `"crm"`)
		optional("custom_dimensions", "null", `[{"key":"k","value":"v"}]`, `[{"key":"k"},{"key":"j","value":1}]`)
		return members
	})
}

func TestAnEventPostedAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r schema.Record
		for _, event := range rapid.SliceOfN(events(), 1, 6).Draw(t, "events") {
			if r == nil && strings.HasPrefix(event, `"event":"end"`) {
				continue
			}
			now := rapid.Int64Range(-3*day, 9*day).Draw(t, "now")
			r = must(t, r, now, event)
			if again := must(t, r, now, event); string(fields.AppendStored(nil, again)) != string(fields.AppendStored(nil, r)) {
				t.Fatalf("%s at %d:\n %s\n has become\n %s", event, now, fields.AppendStored(nil, r), fields.AppendStored(nil, again))
			}
			if subscriptions.Outdated(r, now) {
				t.Fatalf("%s at %d leaves it outdated", event, now)
			}
		}
	})
}

func TestHistoriesAreStoredWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r schema.Record
		var want revenue.History
		for _, event := range rapid.SliceOfN(events(), 1, 6).Draw(t, "events") {
			if r == nil && strings.HasPrefix(event, `"event":"end"`) {
				continue
			}
			now := rapid.Int64Range(-3*day, 9*day).Draw(t, "now")
			r = must(t, r, now, event)
			if e := read(t, event); e.Kind != revenue.EventEnd || len(want) > 0 {
				next, err := want.Apply(e, now)
				if err != nil {
					t.Fatalf("%+v: %v", e, err)
				}
				want = next
			}
			stored := fields.ParseStored(fields.AppendStored(nil, r))
			if got := subscriptions.HistoryOf(stored); !slices.Equal(got, want) {
				t.Fatalf("after %s at %d:\n %s, want\n %s", event, now, told(got), told(want))
			}
		}
	})
}

// read reads the event that members describe, without the declaration.
func read(t *rapid.T, members string) revenue.Event {
	var given map[string]any
	d := json.NewDecoder(strings.NewReader("{" + members + "}"))
	d.UseNumber()
	if err := d.Decode(&given); err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	number := func(name string, none int64) int64 {
		if given[name] == nil {
			return none
		}
		n, err := given[name].(json.Number).Int64()
		if err != nil {
			t.Fatalf("%s: %v", members, err)
		}
		return n
	}
	text := func(name string) revenue.Optional[string] {
		value, is := given[name]
		text, _ := value.(string)
		return revenue.Optional[string]{Given: is, Value: text}
	}
	_, renews := given["next_renewal_date"]
	e := revenue.Event{
		Kind: map[string]revenue.Kind{"revenue": revenue.EventRevenue, "renewal": revenue.EventRenewal,
			"end": revenue.EventEnd, "current": revenue.EventCurrent}[given["event"].(string)],
		Start: number("effective_start_date", 0), End: number("effective_end_date", revenue.Open),
		Revenue: number("total_revenue", 0), Length: number("cycle_length", 0),
		Unit: map[any]revenue.Unit{"day": revenue.Day, "month": revenue.Month, "year": revenue.Year}[given["cycle_unit"]],
		Plan: text("plan_code"), Source: text("source"),
		NextRenewal:     revenue.Optional[int64]{Given: renews, Value: number("next_renewal_date", revenue.None)},
		PreviousRenewal: number("previous_renewal_date", revenue.None),
	}
	return e
}

func TestMovementsAreToldApartByTheirDates(t *testing.T) {
	of := subscriptions.Movements.Schema
	records := subscriptions.MovementRecords("a", []revenue.Movement{
		{Date: 5, Type: revenue.New, Amount: 7, Before: 0, After: 7, Subscriptions: []string{"s", "t\""}},
		{Date: 5, Type: revenue.Expansion, Amount: 1, Before: 7, After: 8, Subscriptions: []string{"s"}},
		{Date: 9, Type: revenue.Expansion, Amount: math.MaxInt64, Before: math.MinInt64, After: -1, Subscriptions: []string{"s"}},
		{Date: 9, Type: revenue.Expansion, Amount: math.MaxInt64, Before: -1, After: math.MaxInt64 - 1, Subscriptions: []string{"s"}},
		{Date: 10, Type: revenue.Contraction, Amount: -1, Before: 8, After: 7},
		{Date: 40, Type: revenue.Churn, Amount: -7, Before: 7, After: 0},
	})
	want := []string{
		`{"account_id":"a","date":5,"type":"new","amount":7,"mrr_before":0,"mrr_after":7,"subscription_ids":["s","t\""]}`,
		`{"account_id":"a","date":6,"type":"expansion","amount":1,"mrr_before":7,"mrr_after":8,"subscription_ids":["s"]}`,
		`{"account_id":"a","date":9,"type":"expansion","amount":9223372036854775807,"mrr_before":-9223372036854775808,"mrr_after":-1,"subscription_ids":["s"]}`,
		`{"account_id":"a","date":10,"type":"expansion","amount":9223372036854775807,"mrr_before":-1,"mrr_after":9223372036854775806,"subscription_ids":["s"]}`,
		`{"account_id":"a","date":11,"type":"contraction","amount":-1,"mrr_before":8,"mrr_after":7,"subscription_ids":[]}`,
		`{"account_id":"a","date":40,"type":"churn","amount":-7,"mrr_before":7,"mrr_after":0,"subscription_ids":[]}`,
	}
	dates := []int64{5, 6, 9, 10, 11, 40}
	for i, r := range records {
		if got := string(of.AppendObject(nil, r, of.All())); got != want[i] {
			t.Errorf("%s, want %s", got, want[i])
		}
		if subscriptions.MovementDate(r) != dates[i] {
			t.Errorf("the date of %s is read as %d", want[i], subscriptions.MovementDate(r))
		}
	}
	if len(records) != len(want) || len(subscriptions.MovementRecords("a", nil)) != 0 {
		t.Errorf("%d movements", len(records))
	}
}

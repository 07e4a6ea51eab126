package sources_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/sources"
)

// TestASampleIsWhatARunMakes tries mappings that are not stored, stores them, and
// compares what a run makes of the records.
func TestASampleIsWhatARunMakes(t *testing.T) {
	w := newWorld(t)
	expressions := []string{"", ".name", ".tier", ".id", ".seats", ".joined | date", `"\(.name)-\(.id)"`, ".owner.city", `.tier // "none"`, ".seats > 3", "$settings.site", ".name.first"}
	targets := []string{"name", "tier", "phone", "employees", "csm_score", "renewal_date", "is_deleted", "stage", "custom_value_dimensions.seats", "custom_label_dimensions.x", "support_account_id"}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		site := fmt.Sprintf("s%d", n)
		for i := range 3 {
			w.system.put(site+"/companies", row{"id": i, "account_no": fmt.Sprintf("%d-%d", n, i), "joined": "2024-01-02", "name": rapid.SampledFrom([]any{"a", "b", strings.Repeat("x", 90)}).Draw(rt, "name"),
				"tier": rapid.SampledFrom([]any{nil, "gold", 5, true}).Draw(rt, "tier"), "seats": rapid.SampledFrom([]any{nil, 3, 9.5, "7"}).Draw(rt, "seats"), "owner": rapid.SampledFrom([]any{nil, row{"city": "c"}}).Draw(rt, "owner")})
		}
		stored := w.source(site, func(s *sources.Source) {
			s.SystemOfRecord, s.Streams = true, map[string]bool{"people": false, "tickets": false}
		})
		defer func() {
			if err := w.Delete(t.Context(), "acme", stored.ID); err != nil {
				rt.Fatal(err)
			}
		}()
		changed := *stored
		for range rapid.IntRange(0, 4).Draw(rt, "fields") {
			w.Map(&changed, "companies", "accounts", rapid.SampledFrom(targets).Draw(rt, "to"), rapid.SampledFrom(expressions).Draw(rt, "from"))
		}
		draft := stored.With(changed)
		before := w.writes
		feeds, err := w.Samples(t.Context(), "acme", draft, "companies")
		if err != nil {
			rt.Fatal(err)
		}
		if w.writes != before {
			rt.Fatalf("it has written %d times", w.writes-before)
		}
		if len(feeds) != 1 || len(feeds[0].Records) != 3 {
			rt.Fatalf("%+v", feeds)
		}
		if err := w.Update(t.Context(), "acme", draft); err != nil {
			rt.Fatal(err)
		}
		r := w.run(draft, true)
		refused := 0
		for i, record := range feeds[0].Records {
			account := fmt.Sprintf("%d-%s", n, record.ID)
			bad := feeds[0].Values["name"] == nil // which is needed
			for _, samples := range feeds[0].Values {
				bad = bad || samples[i].Refusal != nil
			}
			made := w.show("accounts", "", account, "name")
			if bad {
				refused++
			}
			if bad != (made == "") {
				rt.Fatalf("%+v; refused: %v, made: %s", feeds[0].Values, bad, made)
			}
			if bad {
				continue
			}
			for name, samples := range feeds[0].Values {
				list, key, dimension := strings.Cut(name, ".")
				var shown map[string]json.RawMessage
				if err := json.Unmarshal([]byte(w.show("accounts", "", account, list)), &shown); err != nil {
					rt.Fatal(err)
				}
				got, want := string(shown[list]), string(samples[i].Value)
				if dimension {
					var all map[string]json.RawMessage
					if err := json.Unmarshal(shown[list], &all); err != nil {
						rt.Fatal(err)
					}
					got = string(all[key])
				}
				if got != want && (want != "" || got != "null" && got != "false") {
					rt.Fatalf("%s of %s is %s, and the sample %s", name, account, got, want)
				}
			}
		}
		if total := r.Total(); refused != total.Failed {
			rt.Fatalf("%d are refused, %s", refused, counts(r))
		}
	})
}

// valuesOf returns the samples of a field in words.
func valuesOf(feed *sources.SampledFeed, name string) string {
	var all []string
	for _, s := range feed.Values[name] {
		text := ""
		for _, p := range s.Before {
			text += p.Path + "=" + p.Example + " "
		}
		text += "-> " + string(s.Value)
		if s.Refusal != nil {
			text += s.Refusal.Field + ": " + s.Refusal.Message
		}
		if s.Clipped {
			text += " clipped"
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func TestSamplesShowWhatWasThereAndWhatComesOfIt(t *testing.T) {
	w := newWorld(t)
	w.someRows("one")
	s := w.source("one", sor)
	draft := *s
	for _, m := range [][2]string{{"assignee_email", `.agent.email // .agent_id`}, {"state", ".comments"}} {
		w.Map(&draft, "tickets", "support_tickets", m[0], m[1])
	}
	feeds, err := w.Samples(t.Context(), "acme", s.With(draft), "tickets")
	if err != nil {
		t.Fatal(err)
	}
	if len(feeds) != 2 || feeds[0].Family != "support_tickets" || feeds[1].Family != "interactions" || len(feeds[0].Records) != 3 || len(feeds[1].Records) != 1 {
		t.Fatalf("%+v", feeds)
	}
	for got, want := range map[string]string{
		valuesOf(&feeds[0], "ticket_id"):      `.id=11 -> "11"; .id=12 -> "12"; .id=13 -> "13"`,
		valuesOf(&feeds[0], "create_time"):    `.created=1700000000 -> 1700000000000; .created=1700000000 -> 1700000000000; .created=1700000000 -> 1700000000000`,
		valuesOf(&feeds[0], "assignee_email"): `.agent.email=Bo@Beta.example .agent_id=p2 -> "Bo@Beta.example"; .agent.email= .agent_id= -> ; .agent.email= .agent_id= -> `,
		valuesOf(&feeds[1], "external_id"):    `$record.id=11 .id=1 -> "11-1"`,
		valuesOf(&feeds[1], "type"):           `-> "comment"`,
	} {
		if got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	if got := valuesOf(&feeds[0], "state"); !strings.Contains(got, "-> state: ") || !strings.Contains(got, `.comments=[{`) {
		t.Error(got)
	}
	if got := feeds[1].Paths; !slices.Contains(got, sources.Path{Path: ".text", Example: "first"}) || !slices.Contains(got, sources.Path{Path: "$record.subject", Example: "Help"}) {
		t.Errorf("%+v", got)
	}
	if _, err := w.Samples(t.Context(), "acme", s, "nothing"); err == nil {
		t.Error("a stream that is not there has samples")
	}
	w.Map(&draft, "tickets", "support_tickets", "state", "range(9)")
	_, err = w.Samples(t.Context(), "acme", s.With(draft), "tickets")
	if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Field != "mapping.1.from" {
		t.Error(err)
	}
	if err := w.SetCredentials(t.Context(), "acme", s, "key", map[string]string{"api_key": "wrong"}, ann); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Samples(t.Context(), "acme", s, "tickets"); !errors.Is(err, connector.ErrCredentials) {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := w.Samples(ctx, "acme", s, "tickets"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFieldsTellWhatIsInForce(t *testing.T) {
	w := newWorld(t)
	s := w.source("one", sor)
	field := func(feed, name string) *sources.MappedField {
		for _, f := range w.Fields(s, "companies") {
			for i := range f.Fields {
				if f.Family == feed && f.Fields[i].Name == name {
					return &f.Fields[i]
				}
			}
		}
		return nil
	}
	w.Map(s, "companies", "accounts", "tier", " .plan ")
	w.Map(s, "companies", "accounts", "name", "")
	w.Map(s, "companies", "accounts", "join_date", ".joined\n | date")                   // as it is
	w.Map(s, "companies", "accounts", "phone", "")                                       // which is not set
	w.Map(s, "companies", "accounts", "custom_label_dimensions.region", ".owner.region") // which nobody has declared
	want := []sources.Mapped{{Stream: "companies", Family: "accounts", To: "tier", From: ".plan"}, {Stream: "companies", Family: "accounts", To: "name"},
		{Stream: "companies", Family: "accounts", To: "custom_label_dimensions.region", From: ".owner.region"}}
	if !reflect.DeepEqual(s.Mapping, want) {
		t.Errorf("%+v", s.Mapping)
	}
	if f := field("accounts", "tier"); f.From != ".plan" || f.Default != ".tier" || !f.Own || f.Type != "text" || f.Doc == "" {
		t.Errorf("%+v", f)
	}
	if f := field("accounts", "name"); f.From != "" || f.Default != ".name" || !f.Own || !f.Required {
		t.Errorf("%+v", f)
	}
	if f := field("accounts", "custom_label_dimensions.region"); f.From != ".owner.region" || f.Default != "" || !f.Own || f.Type != "text" {
		t.Errorf("%+v", f)
	}
	for _, f := range w.Fields(s, "companies")[0].Free {
		if f.Name == "account_id" || f.Name == "tier" || f.Name == "id" {
			t.Errorf("%s can be set", f.Name)
		}
	}
	// A change of a copy leaves what it is a copy of as it is.
	draft := *s
	w.Map(&draft, "companies", "accounts", "tier", ".other")
	w.Map(&draft, "companies", "accounts", "phone", ".phone")
	w.Unmap(&draft, "companies", "accounts", "name")
	if !reflect.DeepEqual(s.Mapping, want) || len(draft.Mapping) != 3 || draft.Mapping[0].From != ".other" {
		t.Errorf("%+v, %+v", s.Mapping, draft.Mapping)
	}
	w.Map(s, "companies", "accounts", "tier", ".tier")
	w.Unmap(s, "companies", "accounts", "name")
	w.Unmap(s, "companies", "accounts", "phone")
	if len(s.Mapping) != 1 || field("accounts", "tier").Own || field("accounts", "name").From != ".name" {
		t.Errorf("%+v", s.Mapping)
	}
	// Of another source than the System of Record only what attaches is set, where
	// nothing is there yet, and one's own always.
	s = w.source("two", func(s *sources.Source) { s.Prefix = "two-" })
	if f := field("accounts", "support_account_id"); !f.Stays || field("accounts", "tier") != nil {
		t.Errorf("%+v", f)
	}
	w.Map(s, "companies", "accounts", "support_account_id", ".number")
	if f := field("accounts", "support_account_id"); f.Stays || !f.Own {
		t.Errorf("%+v", f)
	}
	if w.Fields(s, "nothing") != nil {
		t.Error("a stream that is not there has fields")
	}
}

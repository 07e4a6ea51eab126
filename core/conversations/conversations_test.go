package conversations_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/conversations"
	"tenure/core/resource"
	"tenure/core/schema"
)

var families = []*resource.Family{conversations.Interactions, conversations.Notes}

// said lays a patch, the members of an object, over a record of f at now.
func said(f *resource.Family, old schema.Record, now int64, patch string) (schema.Record, *core.Failure) {
	object := `{"id":7,"account_id":"a"` + patch + `}`
	if old == nil {
		object = `{"id":7,"account_id":"a","create_time":1` + patch + `}`
		if f == conversations.Interactions && !strings.Contains(patch, `"type"`) {
			object = strings.TrimSuffix(object, "}") + `,"type":"email"}`
		}
	}
	if err := schema.Valid([]byte(object)); err != nil {
		panic(err)
	}
	p, failure := f.Schema.Decode([]byte(object), false)
	if failure != nil {
		return nil, failure
	}
	return f.Merge(resource.Change{Old: old, Patch: p, Now: now})
}

// member returns the value of a field as a read returns it.
func member(f *resource.Family, r schema.Record, name string) string {
	object := string(f.Schema.AppendObject(nil, r, []int{f.Schema.Ordinal(name)}))
	return strings.TrimSuffix(strings.TrimPrefix(object, `{"`+name+`":`), "}")
}

// Contract N1.
func TestModifyTimeIsThatOfTheLastChange(t *testing.T) {
	for _, f := range families {
		t.Run(f.Schema.Name, func(t *testing.T) {
			var r schema.Record
			for _, step := range []struct {
				now         int64
				patch, want string
			}{
				{10, ``, "10"},
				{20, ``, "10"},
				{30, `,"subject":"s"`, "30"},
				{40, `,"subject":"s"`, "30"},
				{50, `,"subject":null`, "50"},
				{60, `,"subject":""`, "50"},
				{70, `,"is_html":false`, "50"},
				{80, `,"is_html":true`, "80"},
				{90, `,"is_html":true,"unknown":1`, "80"},
				{100, `,"modify_time":1`, "80"},
				{110, `,"modify_time":1,"source":"x"`, "110"},
				{120, `,"account_id":"b"`, "120"}, // the last of two members counts: it moves
				{130, `,"account_id":"b","external_id":"e"`, "130"},
			} {
				next, failure := said(f, r, step.now, step.patch)
				if failure != nil {
					t.Fatalf("%s: %v", step.patch, failure)
				}
				if got := member(f, next, "modify_time"); got != step.want {
					t.Fatalf("after %q at %d it is %s, want %s", step.patch, step.now, got, step.want)
				}
				r = next
			}
		})
	}
}

func TestModifyTimeRisesOnlyWithWhatIsStored(t *testing.T) {
	for _, f := range families {
		rapid.Check(t, func(t *rapid.T) {
			text := rapid.SampledFrom([]string{`null`, `""`, `"x"`, `"y"`, `"\u0078"`})
			r, failure := said(f, nil, 1, ``)
			for now := int64(2); now < 8 && failure == nil; now++ {
				var next schema.Record
				next, failure = said(f, r, now, `,"subject":`+text.Draw(t, "subject")+`,"source":`+text.Draw(t, "source"))
				if failure != nil {
					break
				}
				before, after := member(f, r, "subject")+member(f, r, "source"), member(f, next, "subject")+member(f, next, "source")
				want := member(f, r, "modify_time")
				if before != after {
					want = string(schema.Int(now))
				}
				if got := member(f, next, "modify_time"); got != want {
					t.Fatalf("%s to %s at %d: modify_time %s, want %s", before, after, now, got, want)
				}
				r = next
			}
			if failure != nil {
				t.Fatal(failure)
			}
		})
	}
}

func TestRefusedChangesLeaveTheRecordAlone(t *testing.T) {
	for _, f := range families {
		r, failure := said(f, nil, 1, `,"subject":"s"`)
		if failure != nil {
			t.Fatal(failure)
		}
		before := string(f.Schema.AppendStored(nil, r))
		for patch, field := range map[string]string{
			`,"create_time":null`: "create_time", `,"account_id":null`: "account_id", `,"account_id":""`: "account_id",
		} {
			if _, failure := said(f, r, 2, patch); failure == nil || failure.Code != core.MissingField || failure.Field != field {
				t.Errorf("%s: %s: %+v", f.Schema.Name, patch, failure)
			}
		}
		if after := string(f.Schema.AppendStored(nil, r)); after != before {
			t.Errorf("%s: %s has become %s", f.Schema.Name, before, after)
		}
	}
	for _, patch := range []string{`,"type":null`, `,"type":""`} { // of interactions alone (Q8)
		if _, failure := said(conversations.Interactions, nil, 1, patch); failure == nil || failure.Field != "type" || failure.Code != core.MissingField {
			t.Errorf("%s: %+v", patch, failure)
		}
	}
}

// Contract Q24, P14.
func TestExternalIDs(t *testing.T) {
	for _, f := range families {
		r, failure := said(f, nil, 1, `,"external_id":12.0`)
		if failure != nil || member(f, r, "external_id") != `"12.0"` {
			t.Fatalf("%s: %s, %v; want the number's text", f.Schema.Name, member(f, r, "external_id"), failure)
		}
		if kept, failure := said(f, r, 2, `,"subject":"s"`); failure != nil || member(f, kept, "external_id") != `"12.0"` {
			t.Errorf("%s: a patch without it leaves %s, %v", f.Schema.Name, member(f, kept, "external_id"), failure)
		}
		for _, none := range []string{`null`, `""`} {
			r, failure := said(f, r, 2, `,"external_id":`+none)
			if failure != nil || member(f, r, "external_id") != "null" || !(conversations.Filter{WithoutExternalID: true}).Match(r) {
				t.Errorf("%s: external_id %s makes it %s, %v", f.Schema.Name, none, member(f, r, "external_id"), failure)
			}
		}
	}
}

func TestWhatIsNotGivenReadsAsUnset(t *testing.T) {
	for f, want := range map[*resource.Family]string{
		conversations.Interactions: `{"id":7,"external_id":null,"account_id":"a","create_time":1,"modify_time":9,"type":"email",` +
			`"rep_email":null,"rep_first_name":null,"rep_last_name":null,"user_id":null,"user":null,"subject":null,"details":null,` +
			`"source":null,"is_html":false}`,
		conversations.Notes: `{"id":7,"external_id":null,"account_id":"a","create_time":1,"modify_time":9,` +
			`"rep_email":null,"editor_first_name":null,"editor_last_name":null,"subject":null,"note":null,"source":null,"is_html":false}`,
	} {
		r, failure := said(f, nil, 9, ``)
		if failure != nil {
			t.Fatal(failure)
		}
		if got := string(f.Schema.AppendObject(nil, r, f.Schema.All())); got != want {
			t.Errorf("%s: %s, want %s", f.Schema.Name, got, want)
		}
		r, failure = said(f, r, 10, `,"is_html":true`)
		if failure != nil || member(f, r, "is_html") != "true" {
			t.Errorf("%s: is_html %s, %v", f.Schema.Name, member(f, r, "is_html"), failure)
		}
		if r, failure = said(f, r, 11, `,"is_html":null`); failure != nil || member(f, r, "is_html") != "false" { // Q8
			t.Errorf("%s: is_html null reads %s, %v", f.Schema.Name, member(f, r, "is_html"), failure)
		}
	}
}

func TestFilters(t *testing.T) {
	from := func(instant int64) *int64 { return &instant }
	for _, f := range families {
		r, failure := said(f, nil, 50, `,"create_time":30,"external_id":"e"`)
		if failure != nil {
			t.Fatal(failure)
		}
		without, failure := said(f, nil, 50, `,"create_time":30`)
		if failure != nil {
			t.Fatal(failure)
		}
		for _, c := range []struct {
			filter          conversations.Filter
			passes, without bool
		}{
			{conversations.Filter{}, true, true},
			{conversations.Filter{CreatedFrom: from(29)}, true, true},
			{conversations.Filter{CreatedFrom: from(30)}, true, true}, // greater or equal
			{conversations.Filter{CreatedFrom: from(31)}, false, false},
			{conversations.Filter{CreatedFrom: from(-1 << 63)}, true, true},
			{conversations.Filter{ModifiedFrom: from(50)}, true, true},
			{conversations.Filter{ModifiedFrom: from(51)}, false, false},
			{conversations.Filter{CreatedFrom: from(30), ModifiedFrom: from(51)}, false, false},
			{conversations.Filter{CreatedFrom: from(31), ModifiedFrom: from(50)}, false, false},
			{conversations.Filter{WithoutExternalID: true}, false, true},
			{conversations.Filter{WithoutExternalID: true, CreatedFrom: from(30)}, false, true},
			{conversations.Filter{WithoutExternalID: true, CreatedFrom: from(31)}, false, false},
		} {
			if c.filter.Match(r) != c.passes || c.filter.Match(without) != c.without {
				t.Errorf("%s: %+v lets pass %t, without an external id %t", f.Schema.Name, c.filter, c.filter.Match(r), c.filter.Match(without))
			}
		}
	}
}

func TestTextsOfTheirFullLengthAreTaken(t *testing.T) {
	for _, c := range []struct {
		family *resource.Family
		field  string
		length int
	}{{conversations.Interactions, "details", 262144}, {conversations.Notes, "note", 32768}} {
		full := strings.Repeat("😀", c.length)
		r, failure := said(c.family, nil, 1, `,"`+c.field+`":"`+full+`"`)
		if failure != nil || r[c.family.Schema.Ordinal(c.field)].Text() != full {
			t.Errorf("%s of %d characters: %v", c.field, c.length, failure)
		}
		if _, failure := said(c.family, nil, 1, `,"`+c.field+`":"`+full+`x"`); failure == nil || failure.Code != core.TooLong || failure.Field != c.field {
			t.Errorf("%s of a character more: %+v", c.field, failure)
		}
	}
}

package schema

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
)

// things is a family with a field of every type, and every kind of list.
var things = New("things", "Thing", []Field{
	{Name: "thing_id", Type: ID, MaxLen: 8, Required: Always},
	{Name: "name", Type: String, MaxLen: 8, Required: OnInsert},
	{Name: "note", Alias: "noet", Type: String, MaxLen: 8},
	{Name: "size", Type: String, MaxLen: 8, Choices: []string{"small", "large"}},
	{Name: "count", Type: Integer},
	{Name: "score", Type: Integer, Range: &Range{Min: -100, Max: 100}},
	{Name: "total", Type: Long},
	{Name: "made", Type: Time},
	{Name: "weight", Type: Double},
	{Name: "is_open", Type: Boolean, Default: "true"},
	{Name: "is_gone", Type: Boolean, Default: "false"},
	{Name: "computed", Type: String, ReadOnly: true},
	{Name: "labels", Type: List, Form: Map, Key: []string{"key"}, Shown: OnInclude, Sub: []Field{
		{Name: "key", Type: String, MaxLen: 8, Required: Always},
		{Name: "value", Type: Label, MaxLen: 8},
	}},
	{Name: "owners", Type: List, Form: Strings, Key: []string{"email"}, Shown: OnInclude, Sub: []Field{
		{Name: "email", Type: String, MaxLen: 8, Required: Always},
	}},
	{Name: "links", Type: List, Key: []string{"name"}, Shown: SingleRead, Sub: []Field{
		{Name: "name", Type: String, MaxLen: 8, Required: Always},
		{Name: "url", Type: String, MaxLen: 8, Required: OnInsert, NullDeletes: true},
		{Name: "about", Type: String, MaxLen: 8},
	}},
	{Name: "spans", Type: List, Key: []string{"start", "name"}, Shown: SingleRead, Sub: []Field{
		{Name: "name", Type: String, MaxLen: 8, Required: Always},
		{Name: "start", Type: Time, Required: Always},
		{Name: "end", Type: Time},
	}},
})

func decode(t testing.TB, object string) Record {
	t.Helper()
	patch, failure := decodeValid(object, false)
	if failure != nil {
		t.Fatalf("%s: %v", object, failure)
	}
	return patch
}

func decodeValid(object string, strict bool) (Record, *core.Failure) {
	if err := Valid([]byte(object)); err != nil {
		panic(err)
	}
	return things.Decode([]byte(object), strict)
}

func stored(r Record) string { return string(things.AppendStored(nil, r)) }

func TestEveryTypeTakesWhatTheContractSaysAndNothingElse(t *testing.T) {
	long8, long9 := strings.Repeat("😀", 8), strings.Repeat("😀", 9)
	for _, c := range []struct {
		field, given string
		want         string // the stored form, or
		code         core.Code
	}{
		{field: "note", given: `"a\u0062\/"`, want: `"ab/"`},
		{field: "note", given: `"é\n\u0001"`, want: `"é\n\u0001"`},
		{field: "note", given: `""`, want: `null`},
		{field: "note", given: `"\u0041\u0042"`, want: `"AB"`},
		{field: "note", given: `null`, want: `null`},
		{field: "note", given: `"` + long8 + `"`, want: `"` + long8 + `"`},
		{field: "note", given: `"` + strings.Repeat(`\ud83d\ude00`, 8) + `"`, want: `"` + long8 + `"`},
		{field: "note", given: `"` + long9 + `"`, code: core.TooLong},
		{field: "note", given: `12`, code: core.WrongType},
		{field: "note", given: `true`, code: core.WrongType},
		{field: "note", given: `{}`, code: core.WrongType},
		{field: "note", given: `["a"]`, code: core.WrongType},
		{field: "size", given: `"small"`, want: `"small"`},
		{field: "size", given: `"Small"`, code: core.NotAChoice},

		{field: "thing_id", given: `12345`, want: `"12345"`},
		{field: "thing_id", given: `12.0`, want: `"12.0"`},
		{field: "thing_id", given: `1e3`, want: `"1e3"`},
		{field: "thing_id", given: `-0`, want: `"-0"`},
		{field: "thing_id", given: `123456789`, code: core.TooLong},
		{field: "thing_id", given: `true`, code: core.WrongType},

		{field: "count", given: `2147483647`, want: `2147483647`},
		{field: "count", given: `-2147483648`, want: `-2147483648`},
		{field: "count", given: `2147483648`, code: core.OutOfRange},
		{field: "count", given: `1e3`, want: `1000`},
		{field: "count", given: `5.0`, want: `5`},
		{field: "count", given: `-0.0`, want: `0`},
		{field: "count", given: `5.5`, code: core.WrongType},
		{field: "count", given: `"5"`, code: core.WrongType},
		{field: "count", given: `""`, code: core.WrongType},
		{field: "count", given: `null`, want: `null`},
		{field: "score", given: `100`, want: `100`},
		{field: "score", given: `-100`, want: `-100`},
		{field: "score", given: `101`, code: core.OutOfRange},
		{field: "score", given: `-101`, code: core.OutOfRange},
		{field: "total", given: `9223372036854775807`, want: `9223372036854775807`},
		{field: "total", given: `-9223372036854775808`, want: `-9223372036854775808`},
		{field: "total", given: `9223372036854775808`, code: core.OutOfRange},
		{field: "total", given: `1e999999999999999999999`, code: core.OutOfRange},
		{field: "total", given: `1e-999999999999999999999`, code: core.WrongType},
		{field: "made", given: `1312685594018`, want: `1312685594018`},
		{field: "made", given: `"1312685594018"`, code: core.WrongType},

		{field: "weight", given: `11.0`, want: `11`},
		{field: "weight", given: `-0.10`, want: `-0.1`},
		{field: "weight", given: `1e400`, code: core.OutOfRange},
		{field: "weight", given: `1e-400`, want: `0`},
		{field: "weight", given: `"1"`, code: core.WrongType},

		{field: "is_open", given: `false`, want: `false`},
		{field: "is_open", given: `true`, want: `null`}, // its default: as if unset
		{field: "is_gone", given: `true`, want: `true`},
		{field: "is_gone", given: `false`, want: `null`},
		{field: "is_gone", given: `1`, code: core.WrongType},
		{field: "is_gone", given: `"true"`, code: core.WrongType},

		{field: "computed", given: `"x"`, want: ``}, // read-only: ignored
		{field: "labels", given: `[{"key":"a","value":14.99}]`, want: `[["a","14.99"]]`},
		{field: "labels", given: `[{"key":"a","value":true}]`, want: `[["a","true"]]`},
		{field: "labels", given: `[{"value":null,"key":"a"}]`, want: `[["a",null]]`},
		{field: "labels", given: `[{"key":"a"}]`, want: `[["a"]]`},
		{field: "labels", given: `[]`, want: `[]`},
		{field: "labels", given: `[{"value":"x"}]`, code: core.MissingField},
		{field: "labels", given: `[{"key":null}]`, code: core.MissingField},
		{field: "labels", given: `[{"key":""}]`, code: core.MissingField},
		{field: "labels", given: `[{"key":1}]`, code: core.WrongType},
		{field: "labels", given: `[{"key":"a","value":{}}]`, code: core.WrongType},
		{field: "labels", given: `["a"]`, code: core.WrongType},
		{field: "labels", given: `{"a":"b"}`, code: core.WrongType},
		{field: "links", given: `[{"name":"a","url":""}]`, code: core.MissingField}, // only null deletes
		{field: "links", given: `[{"name":"a","url":null}]`, want: `[["a",null]]`},
	} {
		patch, failure := decodeValid(fmt.Sprintf(`{"%s": %s}`, c.field, c.given), false)
		if c.code != "" {
			if failure == nil || failure.Code != c.code {
				t.Errorf("%s = %s: %+v, want %s", c.field, c.given, failure, c.code)
			} else if !strings.HasPrefix(failure.Field, c.field) || !strings.Contains(failure.Message, "'"+failure.Field+"'") {
				t.Errorf("%s = %s: %+v does not name the field", c.field, c.given, failure)
			}
			continue
		}
		if got := patch[things.Ordinal(c.field)]; failure != nil || string(got) != c.want {
			t.Errorf("%s = %s: %s, %v; want %s", c.field, c.given, got, failure, c.want)
		}
	}
}

func TestLengthsCountCodePoints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.Rune(), 1, 12, -1).Draw(t, "text")
		patch, failure := decodeValid(`{"note":`+spell(t, text)+`}`, false)
		fits := len([]rune(text)) <= 8
		if fits != (failure == nil) {
			t.Fatalf("%d code points: %v", len([]rune(text)), failure)
		}
		if got := patch[things.Ordinal("note")].Text(); fits && got != text {
			t.Fatalf("kept as %q", got)
		}
	})
}

func TestRefusedRecordKeepsWhatCouldBeRead(t *testing.T) {
	patch, failure := decodeValid(`{"count":"x","thing_id":7,"score":900,"name":"n"}`, false)
	if failure == nil || failure.Field != "count" || failure.Message != "'count' value must be a number" {
		t.Errorf("failure %+v, want the first one's, in the document's words", failure)
	}
	if patch[0].Text() != "7" || patch[1].Text() != "n" {
		t.Errorf("ids are lost: %q", patch)
	}
	for _, object := range []string{`[]`, `"x"`, `12`, `null`} {
		if _, failure := decodeValid(object, false); failure == nil || failure.Code != core.WrongType {
			t.Errorf("a record %s: %+v", object, failure)
		}
	}
}

func TestUnknownFieldsAreIgnoredUnlessTheyAreToBeRefused(t *testing.T) {
	for object, refused := range map[string]core.Code{
		`{"nonsense":1,"name":"a"}`:                           core.UnknownField,
		`{"computed":"x","name":"a"}`:                         core.ReadOnly,
		`{"labels":[{"key":"a","vlaue":1}]}`:                  core.UnknownField,
		`{"n\u0061me":"a","noet":"b","labels":[{"key":"a"}]}`: "",
	} {
		if _, failure := decodeValid(object, false); failure != nil {
			t.Errorf("%s: %v", object, failure)
		}
		code := core.Code("")
		if _, failure := decodeValid(object, true); failure != nil {
			code = failure.Code
		}
		if code != refused {
			t.Errorf("%s, strictly: %q, want %q", object, code, refused)
		}
	}
	if r := decode(t, `{"noet":"b"}`); r[things.Ordinal("note")].Text() != "b" {
		t.Error("the alias does not stand for its field")
	}
}

func TestRequiredFields(t *testing.T) {
	whole := `{"thing_id":"1","name":"n"}`
	for _, c := range []struct {
		old, patch string
		message    string // "" for none
	}{
		{"", whole, ""},
		{"", `{"name":"n"}`, "Missing required field: 'thing_id'"},
		{"", `{"thing_id":"1"}`, "Missing required field for insert: 'name'"},
		{"", `{"thing_id":"1","name":null}`, "Missing required field for insert: 'name'"},
		{"", `{"thing_id":"1","name":""}`, "Missing required field for insert: 'name'"},
		{"", `{"thing_id":"","name":"n"}`, "Missing required field: 'thing_id'"},
		{whole, `{"thing_id":"1"}`, ""},
		{whole, `{"thing_id":"1","name":null}`, "Missing required field for modify: 'name'"},
		{whole, `{"thing_id":"1","name":""}`, "Missing required field for modify: 'name'"},
		{whole, `{"name":"m"}`, "Missing required field: 'thing_id'"},
		{whole, `{"thing_id":"1","note":null}`, ""},
		{whole, `{"thing_id":"1","links":[{"name":"a"}]}`, "Missing required field for insert: 'links.url'"},
		{whole, `{"thing_id":"1","links":[{"name":"a","url":null}]}`, ""},
		{`{"thing_id":"1","name":"n","links":[{"name":"a","url":"u"}]}`, `{"thing_id":"1","links":[{"name":"a","about":"x"}]}`, ""},
	} {
		var old Record
		if c.old != "" {
			old, _ = things.Merge(nil, decode(t, c.old))
		}
		_, failure := things.Merge(old, decode(t, c.patch))
		message := ""
		if failure != nil {
			message = failure.Message
		}
		if message != c.message {
			t.Errorf("%s over %q: %q, want %q", c.patch, c.old, message, c.message)
		}
		if failure != nil && failure.Code != core.MissingField {
			t.Errorf("%s over %q: code %s", c.patch, c.old, failure.Code)
		}
	}
}

func TestNullAndEmptyTextClear(t *testing.T) {
	old, _ := things.Merge(nil, decode(t, `{"thing_id":"1","name":"n","note":"x","size":"small","count":1,"weight":2,
		"is_open":false,"is_gone":true,"labels":[{"key":"a"}],"owners":[{"email":"e"}]}`))
	cleared, failure := things.Merge(old, decode(t, `{"thing_id":"1","note":"","size":null,"count":null,"weight":null,
		"is_open":null,"is_gone":null,"labels":null,"owners":null}`))
	if failure != nil || stored(cleared) != `{"thing_id":"1","name":"n"}` {
		t.Errorf("left is %s, %v", stored(cleared), failure)
	}
	if got := string(things.AppendObject(nil, cleared, []int{things.Ordinal("is_open"), things.Ordinal("is_gone")})); got != `{"is_open":true,"is_gone":false}` {
		t.Errorf("booleans set to null read %s, want their defaults", got)
	}
}

func TestMergeLeavesTheOldRecordAsItIs(t *testing.T) {
	old, _ := things.Merge(nil, decode(t, `{"thing_id":"1","name":"n","labels":[{"key":"a","value":"1"},{"key":"b"}]}`))
	before := stored(old)
	if _, failure := things.Merge(old, decode(t, `{"thing_id":"1","name":"m","note":"x","labels":[{"key":"a","value":"2"}]}`)); failure != nil {
		t.Fatal(failure)
	}
	if stored(old) != before {
		t.Errorf("it has become %s", stored(old))
	}
}

func TestListsMergeByKeyAndReplaceOnDemand(t *testing.T) {
	old, _ := things.Merge(nil, decode(t, `{"thing_id":"1","name":"n","owners":[{"email":"b"},{"email":"a"}],
		"labels":[{"key":"x","value":"1"}],"links":[{"name":"l","url":"u","about":"kept"}]}`))
	patch := decode(t, `{"thing_id":"1","owners":[{"email":"c"},{"email":"a"}],
		"labels":[{"key":"x","value":"2"},{"key":"x","value":null}],"links":[{"name":"l","url":"v"},{"name":"gone","url":null}]}`)
	for _, c := range []struct {
		replace []int
		owners  string
	}{{nil, `[["a"],["b"],["c"]]`}, {[]int{things.Ordinal("owners")}, `[["a"],["c"]]`}} {
		merged, failure := things.Merge(old, patch, c.replace...)
		want := `{"thing_id":"1","name":"n","labels":[["x"]],"owners":` + c.owners + `,"links":[["l","v","kept"]]}`
		if failure != nil || stored(merged) != want {
			t.Errorf("merged to %s, %v; want %s", stored(merged), failure, want)
		}
	}
	none, _ := things.Merge(old, decode(t, `{"thing_id":"1","owners":[]}`), things.Ordinal("owners"))
	if !none[things.Ordinal("owners")].IsNull() {
		t.Error("an empty array that replaces does not empty the list")
	}
}

// thing is a record in the making: its members, so that it can be written in
// more than one way.
type thing []member

type member struct {
	name  string
	value any // string, int64, float64, bool, nil or []thing
}

// patches generates patches that pass every check over any record of things.
func patches() *rapid.Generator[thing] {
	text := rapid.SampledFrom([]string{"a", "b", "é", "\x00", "\x01", `"\`, "😀", "a\nb", " ", "ab"})
	entries := func(t *rapid.T, name string, draw func() thing) member {
		var list []thing
		for range rapid.IntRange(0, 4).Draw(t, name) {
			list = append(list, draw())
		}
		return member{name, list}
	}
	return rapid.Custom(func(t *rapid.T) thing {
		orNull := func(v any) any {
			if rapid.IntRange(0, 3).Draw(t, "null") == 0 {
				return nil
			}
			return v
		}
		all := thing{
			{"note", orNull(text.Draw(t, "note"))},
			{"size", rapid.SampledFrom([]any{"small", "large", nil, ""}).Draw(t, "size")},
			{"count", orNull(int64(rapid.Int32().Draw(t, "count")))},
			{"score", int64(rapid.IntRange(-100, 100).Draw(t, "score"))},
			{"total", orNull(rapid.Int64().Draw(t, "total"))},
			{"made", rapid.Int64().Draw(t, "made")},
			{"weight", orNull(rapid.Float64().Draw(t, "weight"))},
			{"is_open", orNull(rapid.Bool().Draw(t, "is_open"))},
			{"is_gone", orNull(rapid.Bool().Draw(t, "is_gone"))},
			entries(t, "labels", func() thing {
				return thing{{"key", text.Draw(t, "key")}, {"value", orNull(text.Draw(t, "value"))}}
			}),
			entries(t, "owners", func() thing { return thing{{"email", text.Draw(t, "email")}} }),
			entries(t, "links", func() thing {
				link := thing{{"name", text.Draw(t, "name")}, {"url", orNull(text.Draw(t, "url"))}}
				if rapid.Bool().Draw(t, "described") {
					link = append(link, member{"about", orNull(text.Draw(t, "about"))})
				}
				return link
			}),
			entries(t, "spans", func() thing {
				return thing{{"name", text.Draw(t, "name")}, {"start", rapid.Int64Range(-2, 2).Draw(t, "start")},
					{"end", orNull(rapid.Int64().Draw(t, "end"))}}
			}),
		}
		given := thing{{"thing_id", text.Draw(t, "id")}, {"name", text.Draw(t, "name")}}
		for _, m := range all {
			if rapid.Bool().Draw(t, m.name) {
				given = append(given, m)
			}
		}
		return given
	})
}

// write spells the thing as JSON, in one of the many ways there are.
func (th thing) write(t *rapid.T) string {
	space := func() string { return rapid.StringMatching(`[ \t\n]?`).Draw(t, "space") }
	var members []string
	for _, m := range rapid.Permutation(th).Draw(t, "order") {
		value := "null"
		switch v := m.value.(type) {
		case string:
			value = spell(t, v)
		case bool:
			value = strconv.FormatBool(v)
		case int64:
			value = shiftPoint(strconv.FormatInt(v, 10), rapid.IntRange(-1, 25).Draw(t, "places"))
		case float64:
			value = strconv.FormatFloat(v, "eEgG"[rapid.IntRange(0, 3).Draw(t, "format")], -1, 64)
		case []thing:
			var list []string
			for _, entry := range v {
				list = append(list, entry.write(t))
			}
			value = "[" + strings.Join(list, space()+",") + space() + "]"
		}
		members = append(members, space()+spell(t, m.name)+space()+":"+space()+value+space())
	}
	return "{" + strings.Join(members, ",") + space() + "}"
}

func (th thing) patch(t *rapid.T) Record {
	text := th.write(t)
	patch, failure := decodeValid(text, true)
	if failure != nil {
		t.Fatalf("%s: %v", text, failure)
	}
	return patch
}

func merge(t *rapid.T, old, patch Record) Record {
	merged, failure := things.Merge(old, patch)
	if failure != nil {
		t.Fatalf("%q over %q: %v", patch, old, failure)
	}
	return merged
}

func TestWhatMeansTheSameIsStoredTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th := patches().Draw(t, "thing")
		one, other := stored(merge(t, nil, th.patch(t))), stored(merge(t, nil, th.patch(t)))
		if one != other {
			t.Fatalf("stored as %s and as %s", one, other)
		}
	})
}

func TestStoredFormIsAFixedPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := merge(t, nil, patches().Draw(t, "thing").patch(t))
		body := things.AppendStored(nil, r)
		if !json.Valid(body) {
			t.Fatalf("stored form is not JSON: %s", body)
		}
		if again := things.AppendStored(nil, things.ParseStored(body)); string(again) != string(body) {
			t.Fatalf("%s comes back as %s", body, again)
		}
	})
}

func TestMergingTwiceChangesNothingMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := merge(t, nil, patches().Draw(t, "old").patch(t))
		patch := patches().Draw(t, "patch").patch(t)
		once := merge(t, old, patch)
		if twice := merge(t, once, patch); stored(twice) != stored(once) {
			t.Fatalf("once %s, twice %s", stored(once), stored(twice))
		}
	})
}

func TestListsDoNotCareHowTheirEntriesAreSplitOverPatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th := patches().Draw(t, "thing")
		old := merge(t, nil, patches().Draw(t, "old").patch(t))
		whole := merge(t, old, th.patch(t))
		apart := merge(t, old, th[:2].patch(t))
		for _, m := range th[2:] {
			list, isList := m.value.([]thing)
			if !isList {
				apart = merge(t, apart, append(slices.Clone(th[:2]), m).patch(t))
				continue
			}
			for _, entry := range list {
				one := append(slices.Clone(th[:2]), member{m.name, []thing{entry}})
				apart = merge(t, apart, one.patch(t))
			}
		}
		if stored(whole) != stored(apart) {
			t.Fatalf("at once %s, one by one %s", stored(whole), stored(apart))
		}
	})
}

func TestEntriesAreSortedAndUniqueByKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Record
		for range 3 {
			r = merge(t, r, patches().Draw(t, "thing").patch(t))
		}
		spans := things.List(things.Ordinal("spans")).Entries(r[things.Ordinal("spans")])
		for i := 1; i < len(spans); i++ {
			a, b := spans[i-1], spans[i]
			if a[1].Int() > b[1].Int() || a[1].Int() == b[1].Int() && a[0].Text() >= b[0].Text() {
				t.Fatalf("%s stands before %s", a, b)
			}
		}
		labels := things.List(things.Ordinal("labels")).Entries(r[things.Ordinal("labels")])
		for i := 1; i < len(labels); i++ {
			if labels[i-1][0].Text() >= labels[i][0].Text() {
				t.Fatalf("%s stands before %s", labels[i-1], labels[i])
			}
		}
	})
}

func TestShownObjectsHaveExactlyTheDeclaredNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := merge(t, nil, patches().Draw(t, "thing").patch(t))
		for _, ordinals := range [][]int{things.All(), things.Shown(nil), things.Shown([]string{"owners", "links", "nonsense"})} {
			text := things.AppendObject(nil, r, ordinals)
			if !json.Valid(text) {
				t.Fatalf("not JSON: %s", text)
			}
			var names, want []string
			for name := range Members(text) {
				names = append(names, Value(name).Text())
			}
			for _, i := range ordinals {
				want = append(want, things.Fields[i].Name)
			}
			if !slices.Equal(names, want) {
				t.Fatalf("names %q, want %q", names, want)
			}
		}
		var shown struct {
			Labels map[string]*string
			Owners []string
			Links  []struct{ Name, URL, About *string }
			Spans  []map[string]any
		}
		if err := json.Unmarshal(things.AppendObject(nil, r, things.All()), &shown); err != nil {
			t.Fatal(err)
		}
		for _, list := range []struct {
			name string
			n    int
		}{{"labels", len(shown.Labels)}, {"owners", len(shown.Owners)}, {"links", len(shown.Links)}, {"spans", len(shown.Spans)}} {
			i := things.Ordinal(list.name)
			if stored := len(things.List(i).Entries(r[i])); stored != list.n {
				t.Fatalf("%s shows %d entries of %d", list.name, list.n, stored)
			}
		}
	})
}

func TestUnsetFieldsAreShown(t *testing.T) {
	got := string(things.AppendObject(nil, things.NewRecord(), things.All()))
	want := `{"thing_id":null,"name":null,"note":null,"size":null,"count":null,"score":null,"total":null,"made":null,` +
		`"weight":null,"is_open":true,"is_gone":false,"computed":null,"labels":{},"owners":[],"links":[],"spans":[]}`
	if got != want {
		t.Errorf("an empty record shows %s, want %s", got, want)
	}
}

func TestListsShowWhatIncludeNames(t *testing.T) {
	names := func(ordinals []int) (names []string) {
		for _, i := range ordinals {
			names = append(names, things.Fields[i].Name)
		}
		return names
	}
	if got := names(things.Shown(nil)); slices.Contains(got, "labels") || !slices.Contains(got, "computed") {
		t.Errorf("a plain list shows %q", got)
	}
	if got := names(things.Shown([]string{"labels", "links"})); !slices.Contains(got, "labels") || slices.Contains(got, "links") || slices.Contains(got, "owners") {
		t.Errorf("include=labels,links shows %q; links are for single reads", got)
	}
}

func TestStoredFieldsThatAreNoLongerDeclaredAreDropped(t *testing.T) {
	r := things.ParseStored([]byte(`{"thing_id":"1","removed":{"a":[1]},"noet":"x","count":3,"gone":"}"}`))
	if got := stored(r); got != `{"thing_id":"1","note":"x","count":3}` {
		t.Errorf("read as %s", got)
	}
}

func TestInsertAndWithoutKeepTheOrder(t *testing.T) {
	links := things.List(things.Ordinal("links"))
	link := func(name, url string) Record { return Record{Text(name), Text(url), nil} }
	list := links.ListOf(nil)
	for _, name := range []string{"b", "a", "c", "b"} {
		list = links.Insert(links.Entries(list), link(name, name+strconv.Itoa(len(list))))
	}
	if !json.Valid(list) || len(links.Entries(list)) != 3 || links.Entries(list)[1][1].Text() == "b4" {
		t.Errorf("inserted to %s", list)
	}
	list = links.Without(list, func(e Record) bool { return e[0].Text() == "b" })
	if got := links.Entries(list); len(got) != 2 || got[0][0].Text() != "a" || got[1][0].Text() != "c" {
		t.Errorf("left are %s", list)
	}
	if all := links.Without(list, func(Record) bool { return true }); !all.IsNull() {
		t.Errorf("without all entries the list is %s, want null", all)
	}
}

func TestUnsetValuesSortFirst(t *testing.T) {
	for _, c := range []struct {
		field string
		order []Value
	}{
		{"note", []Value{nil, Text("A"), Text("a"), Text("é")}},
		{"total", []Value{Null, Int(math.MinInt64), Int(-10), Int(-9), Int(9), Int(10), Int(math.MaxInt64)}},
		{"weight", []Value{nil, Value("-1e+300"), Value("-0.5"), Value("2"), Value("10")}},
	} {
		i := things.Ordinal(c.field)
		for a := range c.order {
			for b := range c.order {
				got, want := things.Compare(i, c.order[a], c.order[b]), a-b
				if (got < 0) != (want < 0) || (got > 0) != (want > 0) {
					t.Errorf("%s: Compare(%s, %s) = %d", c.field, c.order[a], c.order[b], got)
				}
			}
		}
	}
}

func TestContradictoryDeclarationsPanic(t *testing.T) {
	list := Field{Name: "l", Type: List, Key: []string{"k"}, Sub: []Field{{Name: "k", Type: String, MaxLen: 1}}}
	without := func(change func(*Field)) Field { f := list; change(&f); return f }
	for what, fields := range map[string][]Field{
		"a name twice":              {{Name: "a", Type: Long}, {Name: "a", Type: Long}},
		"an alias that is a name":   {{Name: "a", Type: Long}, {Name: "b", Alias: "a", Type: Long}},
		"no name":                   {{Type: Long}},
		"text without a length":     {{Name: "a", Type: String}},
		"a number with a length":    {{Name: "a", Type: Long, MaxLen: 1}},
		"a list without sub-fields": {without(func(f *Field) { f.Sub = nil })},
		"an unknown key":            {without(func(f *Field) { f.Key = []string{"z"} })},
		"a key of no list":          {{Name: "a", Type: Long, Key: []string{"a"}}},
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("New accepts it")
				}
			}()
			New("bad", "Bad", fields)
		})
	}
	if _, known := things.Lookup("nonsense"); known {
		t.Error("Lookup finds a field that is not declared")
	}
}

// lines is a list without a key.
var lines = New("bills", "Bill", []Field{
	{Name: "lines", Type: List, Sub: []Field{
		{Name: "amount", Type: Long, Required: Always},
		{Name: "is_big", Type: Boolean},
		{Name: "about", Type: String, MaxLen: 8},
	}},
})

func TestListsWithoutAKeyKeepTheirOrderAndAreReplaced(t *testing.T) {
	var r Record
	for _, c := range []struct{ patch, want string }{
		{`{}`, `[]`},
		{`{"lines":[]}`, `[]`},
		{`{"lines":[{"amount":2,"about":"b"},{"amount":1,"is_big":false},{"amount":2,"about":"b"}]}`,
			`[{"amount":2,"is_big":null,"about":"b"},{"amount":1,"is_big":false,"about":null},{"amount":2,"is_big":null,"about":"b"}]`},
		{`{"lines":[]}`, `[{"amount":2,"is_big":null,"about":"b"},{"amount":1,"is_big":false,"about":null},{"amount":2,"is_big":null,"about":"b"}]`},
		{`{"lines":[{"about":null,"amount":2}]}`, `[{"amount":2,"is_big":null,"about":null}]`},
		{`{"lines":null}`, `[]`},
	} {
		patch, failure := lines.Decode([]byte(c.patch), true)
		if failure == nil {
			r, failure = lines.Merge(r, patch)
		}
		if got := string(lines.AppendObject(nil, r, lines.All())); failure != nil || got != `{"lines":`+c.want+`}` {
			t.Fatalf("after %s: %s, %v; want %s", c.patch, got, failure, c.want)
		}
	}
	if _, failure := lines.Decode([]byte(`{"lines":[{"amount":1},{"about":"x"}]}`), true); failure == nil || failure.Field != "lines.amount" {
		t.Errorf("a line without an amount: %+v", failure)
	}
}

func TestStoredValuesAreReadOneByOneAsAllTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := merge(t, nil, patches().Draw(t, "patch").patch(t))
		// Texts that look like members of the record they stand in.
		for _, i := range []int{things.Ordinal("name"), things.Ordinal("note")} {
			if rapid.Bool().Draw(t, "alike") {
				r[i] = Text(rapid.SampledFrom([]string{`"count":5`, `,"note":"x"`, `\"note":`, `name`, `count":`}).Draw(t, "text"))
			}
		}
		body := things.AppendStored(nil, r)
		for i, want := range things.ParseStored(body) {
			if got := things.StoredValue(body, i); string(got) != string(want) {
				t.Fatalf("%s of %s is %q, want %q", things.Fields[i].Name, body, got, want)
			}
		}
	})
}

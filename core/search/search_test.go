package search_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/cases"
	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/search"
)

// things is a family with an attribute of every type that can be searched, and
// fields that cannot.
var things = schema.New("things", "Thing", []schema.Field{
	{Name: "thing_id", Type: schema.ID, MaxLen: 80},
	{Name: "name", Alias: "nmae", Type: schema.String, MaxLen: 80},
	{Name: "count", Type: schema.Integer},
	{Name: "total", Type: schema.Long},
	{Name: "made", Type: schema.Time},
	{Name: "weight", Type: schema.Double},
	{Name: "is_open", Type: schema.Boolean, Default: "true"},
	{Name: "is_gone", Type: schema.Boolean, Default: "false"},
	{Name: "is_odd", Type: schema.Boolean},
	{Name: "secret", Type: schema.String, MaxLen: 80, Shown: schema.Never},
	{Name: "labels", Type: schema.List, Key: []string{"key"}, Sub: []schema.Field{{Name: "key", Type: schema.String, MaxLen: 80}}},
})

// parse reads conditions, as objects.
func parse(s *schema.Schema, conditions ...string) (*search.Search, *core.Failure) {
	var objects [][]byte
	for _, c := range conditions {
		if err := schema.Valid([]byte(c)); err != nil {
			panic(err)
		}
		objects = append(objects, []byte(c))
	}
	return search.Parse(s, objects)
}

// condition writes a condition; an empty operator or value is left out.
func condition(attribute, operator, value string) string {
	object := `{"attribute":` + quote(attribute)
	if operator != "" {
		object += `,"operator":` + quote(operator)
	}
	if value != "" {
		object += `,"value":` + value
	}
	return object + "}"
}

func quote(text string) string { return string(schema.AppendString(nil, text)) }

// thing returns a record of things from the members of an object.
func thing(members string) schema.Record {
	object := []byte("{" + members + "}")
	if err := schema.Valid(object); err != nil {
		panic(err)
	}
	r, failure := things.Decode(object, true)
	if failure != nil {
		panic(failure)
	}
	return r
}

type tester interface {
	Helper()
	Fatalf(string, ...any)
}

// matches reports whether the thing with those members meets the conditions.
func matches(t tester, members string, conditions ...string) bool {
	t.Helper()
	s, failure := parse(things, conditions...)
	if failure != nil {
		t.Fatalf("%s: %v", conditions, failure)
	}
	return s.Match(thing(members))
}

// Contract R1: which operators go with which type of attribute, and with which
// type of value.
func TestOperatorsGoWithTypes(t *testing.T) {
	numeric := "eq ne lt le gt ge"
	for attribute, c := range map[string]struct{ operators, values string }{
		"thing_id": {"eq ne like notLike", `"x" "" 12 1.50 -1e3`},
		"name":     {"eq ne like notLike", `"x" ""`},
		"count":    {numeric, `12 1.50 -1e3 1e400 -1e-400 9223372036854775808`},
		"total":    {numeric, `12 1.50 -1e3 1e400 -1e-400 9223372036854775808`},
		"made":     {numeric, `12 1.50 -1e3 1e400 -1e-400 9223372036854775808`},
		"weight":   {numeric, `12 1.50 -1e3 1e400 -1e-400 9223372036854775808`},
		"is_open":  {"eq ne isTrue isFalse", `true false`},
		"is_odd":   {"eq ne isTrue isFalse", `true false`},
	} {
		allowed, values := strings.Fields(c.operators), strings.Fields(c.values)
		for _, operator := range search.Operators {
			needsNoValue := operator == "isTrue" || operator == "isFalse"
			for _, value := range []string{``, `null`, `true`, `false`, `"x"`, `""`, `12`, `1.50`, `-1e3`, `1e400`, `-1e-400`, `9223372036854775808`, `[]`, `["x"]`, `{}`} {
				given := condition(attribute, operator, value)
				_, failure := parse(things, given)
				var code core.Code
				field := attribute
				switch {
				case !slices.Contains(allowed, operator):
					code = core.WrongType
				case needsNoValue || slices.Contains(values, value):
				case value == `` || value == `null`:
					code, field = core.MissingField, "value"
				case attribute == "thing_id" && strings.ContainsAny(value[:1], "-0123456789"):
				default:
					code = core.WrongType
				}
				switch {
				case code == "" && failure != nil:
					t.Errorf("%s: %v", given, failure)
				case code != "" && (failure == nil || failure.Code != code || failure.Field != field || !strings.Contains(failure.Message, "'"+attribute+"'")):
					t.Errorf("%s: %+v, want %s of %s", given, failure, code, field)
				}
			}
		}
	}
}

func TestConditionsThatCannotBeReadAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		given string
		code  core.Code
		field string
		names string // in the message
	}{
		{`[]`, core.WrongType, "records", "records"},
		{`"name"`, core.WrongType, "records", "records"},
		{`null`, core.WrongType, "records", "records"},
		{`{}`, core.MissingField, "attribute", "attribute"},
		{`{"value":1}`, core.MissingField, "attribute", "attribute"},
		{`{"attribute":null,"value":1}`, core.MissingField, "attribute", "attribute"},
		{`{"attribute":"","value":1}`, core.MissingField, "attribute", "attribute"},
		{`{"attribute":7,"value":1}`, core.WrongType, "attribute", "attribute"},
		{`{"attribute":"name","operator":7,"value":"x"}`, core.WrongType, "operator", "operator"},
		{`{"attribute":"name","operator":["eq"],"value":"x"}`, core.WrongType, "operator", "operator"},
		{`{"attribute":"name","operator":"EQ","value":"x"}`, core.NotAChoice, "operator", "notLike"},
		{`{"attribute":"name","operator":"notlike","value":"x"}`, core.NotAChoice, "operator", "notLike"},
		{`{"attribute":"nonsense","value":"x"}`, core.UnknownField, "nonsense", "nonsense"},
		{`{"attribute":"Name","value":"x"}`, core.UnknownField, "Name", "Name"},
		{`{"attribute":"labels","value":"x"}`, core.UnknownField, "labels", "labels"},
		{`{"attribute":"labels.key","value":"x"}`, core.UnknownField, "labels.key", "labels.key"},
		{`{"attribute":"secret","value":"x"}`, core.UnknownField, "secret", "secret"},
	} {
		_, failure := parse(things, `{"attribute":"name","value":"x"}`, c.given)
		if failure == nil || failure.Code != c.code || failure.Field != c.field || !strings.Contains(failure.Message, c.names) {
			t.Errorf("%s: %+v, want %s of %s", c.given, failure, c.code, c.field)
		}
	}
	for _, given := range []string{
		`{"attribute":"name","value":"x"}`, `{"attribute":"name","operator":null,"value":"x"}`, `{"attribute":"name","operator":"","value":"x"}`,
		`{"value":"x","attri\u0062ute":"nam\u0065","other":1}`, `{"attribute":"count","attribute":"nmae","value":"x"}`,
	} {
		if !matches(t, `"name":"x"`, given) || matches(t, `"name":"X"`, given) {
			t.Errorf("%s is not the equality of a name", given)
		}
	}
}

// What can be searched of the families of the document's "Search": every field
// that is shown but sub-objects.
func TestAttributesOfTheFamilies(t *testing.T) {
	for _, f := range []*resource.Family{accounts.Family, people.Users, people.Contacts} {
		for i := range f.Schema.Fields {
			field := &f.Schema.Fields[i]
			_, failure := parse(f.Schema, condition(field.Name, "ne", map[bool]string{true: `true`, false: `"x"`}[field.Type == schema.Boolean]))
			if field.Type.Numeric() {
				_, failure = parse(f.Schema, condition(field.Name, "ge", `1`))
			}
			if searchable := field.Type != schema.List; searchable != (failure == nil) {
				t.Errorf("%s by %s: %v", f.Schema.Name, field.Name, failure)
			}
		}
	}
	if s, failure := parse(people.Users.Schema, condition("maling_country", "", `"Chile"`)); failure != nil || !s.Names("mailing_country") {
		t.Errorf("the document's spelling of the country: %v", failure)
	}
}

func TestOperators(t *testing.T) {
	type outcome struct {
		members string
		meeting string // the operators whose condition holds
	}
	const all = "eq ne lt le gt ge"
	for _, c := range []struct {
		attribute, value, operators string
		outcomes                    []outcome
	}{
		{"name", `"Ab"`, "eq ne like notLike", []outcome{
			{`"name":"Ab"`, "eq like"}, {`"name":"ab"`, "ne like"}, {`"name":"xABx"`, "ne like"}, {`"name":"a b"`, "ne notLike"},
			{`"name":"A"`, "ne notLike"}, {``, "ne notLike"}, {`"name":null`, "ne notLike"}, {`"name":""`, "ne notLike"},
		}},
		{"name", `""`, "eq ne like notLike", []outcome{
			{`"name":"x"`, "ne like"}, {`"name":"é"`, "ne like"}, {``, "ne notLike"},
		}},
		{"thing_id", `12345`, "eq ne like notLike", []outcome{ // P14: the number's text
			{`"thing_id":"12345"`, "eq like"}, {`"thing_id":12345`, "eq like"}, {`"thing_id":"12345.0"`, "ne like"}, {`"thing_id":"1234"`, "ne notLike"},
		}},
		{"thing_id", `1e3`, "eq ne like notLike", []outcome{
			{`"thing_id":"1e3"`, "eq like"}, {`"thing_id":"1E3"`, "ne like"}, {`"thing_id":"1000"`, "ne notLike"},
		}},
		{"count", `5`, all, []outcome{
			{`"count":4`, "ne lt le"}, {`"count":5`, "eq le ge"}, {`"count":6`, "ne gt ge"}, {``, "ne"}, {`"count":null`, "ne"}, {`"count":0`, "ne lt le"},
		}},
		{"count", `0`, all, []outcome{{``, "ne"}, {`"count":0`, "eq le ge"}}},
		{"count", `5.0`, all, []outcome{{`"count":5`, "eq le ge"}}},
		{"count", `5.5`, all, []outcome{{`"count":5`, "ne lt le"}, {`"count":6`, "ne gt ge"}}},
		{"count", `-5.5`, all, []outcome{{`"count":-5`, "ne gt ge"}, {`"count":-6`, "ne lt le"}}},
		{"count", `99999999999`, all, []outcome{{`"count":5`, "ne lt le"}, {``, "ne"}}},
		{"weight", `0.1`, all, []outcome{{`"weight":0.1`, "eq le ge"}, {`"weight":0.10000001`, "ne gt ge"}, {`"weight":-1e300`, "ne lt le"}, {``, "ne"}}},
		{"weight", `1e400`, all, []outcome{{`"weight":1e308`, "ne lt le"}}},
		{"weight", `-0`, all, []outcome{{`"weight":0`, "eq le ge"}}},
		{"is_open", `true`, "eq ne isTrue isFalse", []outcome{ // unset is true
			{``, "eq isTrue"}, {`"is_open":null`, "eq isTrue"}, {`"is_open":true`, "eq isTrue"}, {`"is_open":false`, "ne isFalse"},
		}},
		{"is_gone", `false`, "eq ne isTrue isFalse", []outcome{ // unset is false
			{``, "eq isFalse"}, {`"is_gone":false`, "eq isFalse"}, {`"is_gone":true`, "ne isTrue"},
		}},
		{"is_odd", `false`, "eq ne isTrue isFalse", []outcome{ // unset is neither
			{``, "ne"}, {`"is_odd":false`, "eq isFalse"}, {`"is_odd":true`, "ne isTrue"},
		}},
	} {
		for _, o := range c.outcomes {
			var meeting []string
			for operator := range strings.FieldsSeq(c.operators) {
				if matches(t, o.members, condition(c.attribute, operator, c.value)) {
					meeting = append(meeting, operator)
				}
			}
			if got := strings.Join(meeting, " "); got != o.meeting {
				t.Errorf("{%s} with %s and %s: %q hold, want %q", o.members, c.attribute, c.value, got, o.meeting)
			}
		}
	}
}

// literal generates JSON numbers near the whole number n.
func literal(n int64) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		near := new(big.Int).Add(big.NewInt(n), big.NewInt(rapid.Int64Range(-2, 2).Draw(t, "away")))
		fraction := rapid.SampledFrom([]string{"", ".0", ".5", ".25", ".00000000000000000000000000001", ".99999999999999999999999999999"}).Draw(t, "fraction")
		text := near.String() + fraction
		if digits := strings.TrimPrefix(near.String(), "-"); len(digits) > 3 && rapid.Bool().Draw(t, "scientific") {
			text = strings.Replace(near.String(), digits, digits[:1]+"."+digits[1:]+strings.TrimPrefix(fraction, "."), 1) +
				fmt.Sprintf("E+%d", len(digits)-1)
		}
		return text
	})
}

func TestWholeNumbersAreComparedExactly(t *testing.T) {
	for _, c := range []struct {
		total, value, meeting string
	}{
		{"9007199254740993", "9007199254740993", "eq le ge"},
		{"9007199254740993", "9007199254740992", "ne gt ge"},
		{"9007199254740992", "9007199254740993", "ne lt le"},
		{"9007199254740994", "9007199254740993.5", "ne gt ge"},
		{"9223372036854775807", "9223372036854775807", "eq le ge"},
		{"9223372036854775807", "9223372036854775806.5", "ne gt ge"},
		{"9223372036854775807", "9223372036854775807.5", "ne lt le"},
		{"9223372036854775807", "9223372036854775808", "ne lt le"},
		{"9223372036854775807", "1e999999999999999999999", "ne lt le"},
		{"-9223372036854775808", "-9223372036854775808", "eq le ge"},
		{"-9223372036854775808", "-9223372036854775807.5", "ne lt le"},
		{"-9223372036854775808", "-9223372036854775808.5", "ne gt ge"},
		{"-9223372036854775808", "-1e999999999999999999999", "ne gt ge"},
		{"1", "0.99999999999999999999", "ne gt ge"},
		{"1", "1.00000000000000000001", "ne lt le"},
		{"-1", "-1.00000000000000000001", "ne gt ge"},
		{"0", "1e-999999999999999999999", "ne lt le"},
		{"0", "-1e-400", "ne gt ge"},
		{"0", "-0.0e-5", "eq le ge"},
		{"12", "0.00125e4", "ne lt le"},
		{"13", "0.00125e4", "ne gt ge"},
		{"12", "1200e-2", "eq le ge"},
		{"12", "1250e-2", "ne lt le"},
	} {
		var meeting []string
		for _, operator := range search.Operators[:6] {
			if matches(t, `"total":`+c.total, condition("total", operator, c.value)) {
				meeting = append(meeting, operator)
			}
		}
		if got := strings.Join(meeting, " "); got != c.meeting {
			t.Errorf("%s and %s: %q hold, want %q", c.total, c.value, got, c.meeting)
		}
	}
}

func TestWholeNumbersAreComparedAsFractionsAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		value := literal(n).Draw(t, "value")
		exact, ok := new(big.Rat).SetString(value)
		if !ok {
			t.Fatalf("%s is no number", value)
		}
		order := new(big.Rat).SetInt64(n).Cmp(exact)
		for operator, want := range map[string]bool{
			"eq": order == 0, "ne": order != 0, "lt": order < 0, "le": order <= 0, "gt": order > 0, "ge": order >= 0,
		} {
			if got := matches(t, fmt.Sprintf(`"total":%d`, n), condition("total", operator, value)); got != want {
				t.Fatalf("%d %s %s: %t", n, operator, value, got)
			}
		}
	})
}

// Case does not matter to like as full case folding has it, in any language at
// once: ß is ss, every sigma is one, and of the Turkish letters the dotted İ is
// an i with a dot above it while the dotless ı is a letter of its own.
func TestLikeIgnoresCaseOverUnicode(t *testing.T) {
	for _, c := range []struct {
		text, needle string
		like         bool
	}{
		{"Natero.COM", "natero.com", true},
		{"natero.com", "NATERO", true},
		{"natero.com", "natero.org", false},
		{"ÉCOLE", "école", true},
		{"école", "ÉCOLE", true},
		{"ecole", "école", false},
		{"Straße", "STRASSE", true},
		{"STRASSE", "straße", true},
		{"Straße", "ẞ", true},
		{"ΟΔΟΣ", "οδος", true},
		{"οδος", "ΟΔΟΣ", true},
		{"οδοσ", "οδος", true},
		{"İstanbul", "i", true},
		{"İSTANBUL", "i̇stanbul", true},
		{"İstanbul", "istanbul", false},
		{"istanbul", "İ", false},
		{"ılık", "i", false},
		{"I", "ı", false},
		{"300 \u212A", "k", true}, // KELVIN SIGN
		{"300 \u212A", "0 K", true},
		{"300 K", "\u212A", true},
		{"ſtrange", "S", true}, // LONG S
		{"Strange", "ſ", true},
		{"\u212Bngström", "å", true}, // ANGSTROM SIGN
		{"ﬁne", "FI", true},          // LATIN SMALL LIGATURE FI
		{"Дом", "дОМ", true},
		{"\U00010400", "\U00010428", true}, // DESERET LONG I
		{"日本語", "本", true},
		{"a\nb\x00\"\\", "\x00\"\\", true},
		{"é", "", true},
		{"a", "ab", false},
	} {
		members := `"name":` + quote(c.text)
		if matches(t, members, condition("name", "like", quote(c.needle))) != c.like {
			t.Errorf("%q like %q: %t", c.text, c.needle, !c.like)
		}
		if matches(t, members, condition("name", "notLike", quote(c.needle))) == c.like {
			t.Errorf("%q notLike %q: %t", c.text, c.needle, c.like)
		}
	}
}

func TestLikeAgreesWithFoldingAndContaining(t *testing.T) {
	text := rapid.OneOf(
		rapid.StringOfN(rapid.SampledFrom([]rune("aAkKsSiI\u212Aßẞſσςİıﬁé ")), 0, 6, -1),
		rapid.StringOfN(rapid.Rune(), 0, 6, -1),
	)
	rapid.Check(t, func(t *rapid.T) {
		whole, needle := text.Draw(t, "text")+"k", text.Draw(t, "needle")
		if rapid.Bool().Draw(t, "cut") {
			runes := []rune(whole)
			from := rapid.IntRange(0, len(runes)).Draw(t, "from")
			needle = string(runes[from:rapid.IntRange(from, len(runes)).Draw(t, "to")])
			needle = rapid.SampledFrom([]func(string) string{strings.ToUpper, strings.ToLower, strings.ToTitle}).Draw(t, "case")(needle)
		}
		want := strings.Contains(cases.Fold().String(whole), cases.Fold().String(needle))
		members := `"name":` + quote(whole)
		if matches(t, members, condition("name", "like", quote(needle))) != want {
			t.Fatalf("%q like %q: %t", whole, needle, !want)
		}
		if equal := matches(t, members, condition("name", "eq", quote(needle))); equal != (whole == needle) {
			t.Fatalf("%q eq %q: %t", whole, needle, equal)
		}
	})
}

func TestAllConditionsMustHold(t *testing.T) {
	yes, no := condition("name", "eq", `"x"`), condition("count", "gt", `5`)
	for _, c := range []struct {
		conditions []string
		want       bool
	}{
		{nil, true}, {[]string{yes}, true}, {[]string{no}, false}, {[]string{yes, yes}, true}, {[]string{yes, no}, false}, {[]string{no, yes}, false},
		{[]string{yes, condition("name", "ne", `"x"`)}, false},
		{[]string{condition("count", "ge", `5`), condition("count", "le", `5`), condition("thing_id", "notLike", `"a"`)}, true},
	} {
		if matches(t, `"name":"x","count":5`, c.conditions...) != c.want {
			t.Errorf("%s: %t", c.conditions, !c.want)
		}
	}
}

func TestSearchesNameTheirAttributes(t *testing.T) {
	s, failure := parse(things, condition("nmae", "", `"is_open"`), condition("is_gone", "isTrue", ""))
	if failure != nil {
		t.Fatal(failure)
	}
	for attribute, want := range map[string]bool{"name": true, "is_gone": true, "is_open": false, "count": false, "nmae": false} {
		if s.Names(attribute) != want || s.Names("made", attribute) != want {
			t.Errorf("names %s: %t", attribute, !want)
		}
	}
	if s.Names() {
		t.Error("it names nothing")
	}
}

// conditions generates a few conditions on few attributes.
func conditions() *rapid.Generator[[]string] {
	values := map[string][]string{
		"thing_id": {`"5"`, `5`, `5.0`, `"a\nb"`, `"a"`},
		"name":     {`"x"`, `"X"`, `"x\n1 eq \"y\""`, `"x\\n"`, `"\u0078"`, `"é"`},
		"count":    {`5`, `5.0`, `50e-1`, `5.5`, `6`, `-1`},
		"total":    {`9007199254740992`, `9007199254740993`, `9007199254740993.5`},
		"weight":   {`5`, `0.5`, `9007199254740992`, `9007199254740993`, `9223372036854775807`},
		"is_open":  {`true`, `false`},
		"is_gone":  {`true`, `false`},
	}
	attributes := slices.Sorted(maps.Keys(values))
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		attribute := rapid.SampledFrom(attributes).Draw(t, "attribute")
		operators := []string{"eq", "eq", "ne"}
		switch i, _ := things.Lookup(attribute); {
		case things.Fields[i].Type.Numeric():
			operators = append(operators, "lt", "ge")
		case things.Fields[i].Type == schema.Boolean:
			operators = append(operators, "isTrue", "isFalse")
		default:
			operators = append(operators, "like", "notLike")
		}
		return condition(attribute, rapid.SampledFrom(operators).Draw(t, "operator"), rapid.SampledFrom(values[attribute]).Draw(t, "value"))
	}), 0, 3)
}

func TestFiltersKnowTheValuesThatFieldsMustHave(t *testing.T) {
	values := map[string][]string{
		"thing_id": {`"5"`, `"5.0"`, `"a\nb"`}, "name": {`"x"`, `"X"`, `"é"`}, "count": {`5`, `6`}, "total": {`9007199254740992`, `9007199254740993`},
		"weight": {`5`, `0.5`, `9007199254740992`, `9223372036854775807`}, "is_open": {`false`}, "is_gone": {`true`},
	}
	record := rapid.Custom(func(t *rapid.T) string {
		var members []string
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if value := rapid.SampledFrom(append(values[name], "")).Draw(t, name); value != "" {
				members = append(members, quote(name)+":"+value)
			}
		}
		return strings.Join(members, ",")
	})
	rapid.Check(t, func(t *rapid.T) {
		given := conditions().Draw(t, "conditions")
		s, failure := parse(things, given...)
		if failure != nil {
			t.Fatalf("%s: %v", given, failure)
		}
		members := record.Draw(t, "record")
		r := thing(members)
		filter := s.Filter()
		if filter.Match(r) != s.Match(r) {
			t.Fatalf("%s on %s: the filter says %t", given, members, filter.Match(r))
		}
		if body := things.AppendStored(nil, r); filter.Stored(body) != filter.Match(r) { // nothing of a thing is computed
			t.Fatalf("%s on %s: stored, the filter says %t", given, body, filter.Stored(body))
		}
		for i, value := range filter.Equal {
			has := r[i]
			if has.IsNull() {
				has = schema.Value(things.Fields[i].Default)
			}
			if filter.Match(r) && string(has) != string(value) {
				t.Fatalf("%s: {%s} matches, and its %s is not %s", given, members, things.Fields[i].Name, value)
			}
		}
	})
}

func TestComputedAttributesAreSearchedAsTheyAreShown(t *testing.T) {
	s, due := accounts.Family.Schema, int64(77)
	patch, failure := s.Decode([]byte(`{"account_id":"a","name":"A","join_date":1,"stage":"trial","renewal_date":5,"is_deleted":true,"inactive_time":1}`), true)
	if failure != nil {
		t.Fatal(failure)
	}
	stored, failure := accounts.Family.Merge(resource.Change{Patch: patch, Now: 1, Option: func(string) bool { return false }})
	if failure != nil {
		t.Fatal(failure)
	}
	stored = accounts.SetRevenue(stored, []accounts.Revenue{{From: 1, MRR: 900, RenewalDate: &due}})
	shown := slices.Clone(stored)
	accounts.Family.Show(shown, 9)
	for _, given := range []string{
		condition("is_active", "isFalse", ""), condition("is_active", "", "false"), condition("current_mrr", "", "900"),
		condition("renewal_date", "gt", "5"), condition("stage", "", `"trial"`), condition("current_stage", "like", `"TRI"`),
	} {
		search, failure := parse(s, given)
		if failure != nil {
			t.Fatal(failure)
		}
		if filter := search.Filter(); !filter.Match(shown) || !filter.Stored(s.AppendStored(nil, stored)) {
			t.Errorf("%s: shown %t, stored %t; want the account found", given, filter.Match(shown), filter.Stored(s.AppendStored(nil, stored)))
		}
	}
}

func TestOnlyEqualitySaysWhatAFieldMustHave(t *testing.T) {
	s, failure := parse(things, condition("thing_id", "", `7`), condition("name", "", `"x"`), condition("count", "eq", `5.0`),
		condition("total", "eq", `5.5`), condition("made", "ge", `5`), condition("weight", "eq", `5`), condition("is_open", "isTrue", ""))
	if failure != nil {
		t.Fatal(failure)
	}
	want := map[string]string{"thing_id": `"7"`, "name": `"x"`, "count": `5`}
	got := map[string]string{}
	for i, value := range s.Filter().Equal {
		got[things.Fields[i].Name] = string(value)
	}
	if !maps.Equal(got, want) {
		t.Errorf("fields must have %v, want %v", got, want)
	}
}

// name returns what the list that meets the conditions is called.
func name(t tester, given ...string) string {
	t.Helper()
	s, failure := parse(things, given...)
	if failure != nil {
		t.Fatalf("%s: %v", given, failure)
	}
	return s.Filter().Name
}

func TestEqualSearchesHaveEqualNames(t *testing.T) {
	for _, same := range [][]string{
		{condition("name", "", `"x"`), condition("name", "eq", `"x"`), ` { "value" : "\u0078", "attribute":"nmae", "operator":null } `},
		{condition("count", "ge", `5`), condition("count", "ge", `5.0`), condition("count", "ge", `50e-1`), condition("count", "ge", `0.5e+1`)},
		{condition("thing_id", "", `5`), condition("thing_id", "", `"5"`)},
		{condition("is_open", "isTrue", ""), condition("is_open", "isTrue", "false"), condition("is_open", "isTrue", `"x"`)},
	} {
		for _, other := range same[1:] {
			if name(t, other) != name(t, same[0]) {
				t.Errorf("%s is %q, %s is %q", other, name(t, other), same[0], name(t, same[0]))
			}
		}
	}
}

func TestSearchesThatDifferHaveDifferentNames(t *testing.T) {
	meaning := func(given []string) string {
		var all []any
		for _, c := range given {
			var one struct {
				Attribute, Operator string
				Value               any
			}
			d := json.NewDecoder(strings.NewReader(c))
			d.UseNumber()
			if err := d.Decode(&one); err != nil {
				t.Fatal(err)
			}
			switch number, is := one.Value.(json.Number); {
			case strings.HasPrefix(one.Operator, "is"):
				one.Value = nil
			case is && one.Attribute == "thing_id":
				one.Value = number.String()
			case is:
				exact, _ := new(big.Rat).SetString(number.String())
				one.Value = exact.RatString()
			}
			all = append(all, one)
		}
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := conditions().Draw(t, "a"), conditions().Draw(t, "b")
		if equal := meaning(a) == meaning(b); equal != (name(t, a...) == name(t, b...)) {
			t.Fatalf("%s and %s are equal: %t, but are called %q and %q", a, b, equal, name(t, a...), name(t, b...))
		}
	})
}

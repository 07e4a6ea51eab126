package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"tenure/core/catalog"
	"tenure/core/metrics"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/subscriptions"
)

// fieldTests try every field of every family, as its declaration has it, but for
// events of subscriptions and points of metrics: what is read of them has
// another form.
var fieldTests = func() []test {
	var tests []test
	for _, f := range catalog.All() {
		if f == subscriptions.Family || f == metrics.Family {
			continue
		}
		tests = append(tests,
			test{f.Schema.Name + " inserted", func(c *client) { testFieldsInserted(c, f) }},
			test{f.Schema.Name + " modified", func(c *client) { testFieldsModified(c, f) }},
			test{f.Schema.Name + " shown", func(c *client) { testFieldsShown(c, f) }},
		)
	}
	return append(tests, test{"longest ids", testLongestIDs}, test{"required in a list", testRequiredInLists})
}()

// keyOf returns the ordinal of the id that tests give to records of a family:
// the external one where ids are generated.
func keyOf(f *resource.Family) int {
	if f.Generated != nil {
		return f.Generated.External
	}
	return f.ID
}

// pathOf returns the path of the record that a test called id.
func pathOf(f *resource.Family, id string) string {
	if f.Generated != nil {
		return "/" + f.Schema.Name + "/external_id/" + segment(id)
	}
	return "/" + f.Schema.Name + "/" + segment(id)
}

// listOf returns the path of the list of a family's records: of the workspace,
// or else of the account that all of them are given.
func listOf(f *resource.Family) string {
	if len(f.Orders) == 0 {
		return "/accounts/acme/" + f.Schema.Name
	}
	return "/" + f.Schema.Name
}

// raw is a record whose values are JSON text.
type raw map[string]json.RawMessage

func (r raw) with(more raw) raw {
	merged := raw{}
	for _, from := range []raw{r, more} {
		for name, value := range from {
			merged[name] = value
		}
	}
	return merged
}

func quote(text string) json.RawMessage { return json.RawMessage(toJSON(text)) }

// sample returns a value that a field takes.
func sample(f *schema.Field) json.RawMessage {
	switch {
	case f.Type == schema.Boolean:
		return json.RawMessage("true")
	case f.Type == schema.List:
		return json.RawMessage("[" + toJSON(complete(f.Sub)) + "]")
	case f.Name == "start_date": // whatever is tried for the end, it is not before
		return json.RawMessage(fmt.Sprint(math.MinInt64))
	case f.Name == "end_date":
		return json.RawMessage(fmt.Sprint(math.MaxInt64))
	case f.Type.Numeric():
		return json.RawMessage("7")
	}
	return quote("sample")
}

// complete returns a record of fields with a value for each.
func complete(fields []schema.Field) raw {
	r := raw{}
	for i := range fields {
		if !fields[i].ReadOnly {
			r[fields[i].Name] = sample(&fields[i])
		}
	}
	return r
}

// minimal returns the record of a family that has nothing but what it needs.
func minimal(f *resource.Family, id string) raw {
	r := raw{}
	for i := range f.Schema.Fields {
		if field := &f.Schema.Fields[i]; field.Required != schema.Optional {
			r[field.Name] = sample(field)
		}
	}
	r[f.Schema.Fields[f.Account].Name] = quote("acme")
	r[f.Schema.Fields[keyOf(f)].Name] = quote(id)
	return r
}

// valueCase is one value given for a field, and either how it is shown, as a
// pattern, or how it is refused.
type valueCase struct {
	name    string
	give    json.RawMessage // nil: the field is left out
	show    string
	code    string
	message string // what the message has after the quoted name
}

// wideRune takes four bytes in UTF-8, and two units in UTF-16.
const wideRune = "😀"

// valuesOf returns the values to try for a field of a new record or entry; see
// nothings for null and the like.
func valuesOf(f *schema.Field) []valueCase {
	var cases []valueCase
	accept := func(name, give, show string) {
		cases = append(cases, valueCase{name: name, give: json.RawMessage(give), show: show})
	}
	refuse := func(code, message string, gives ...string) {
		for _, give := range gives {
			name := give
			if len(name) > 40 {
				name = fmt.Sprintf("%.10s… of %d bytes", give, len(give))
			}
			cases = append(cases, valueCase{name: name, give: json.RawMessage(give), code: code, message: message})
		}
	}
	switch f.Type {
	case schema.String, schema.ID, schema.Label:
		for _, letter := range []string{"a", wideRune} {
			longest := toJSON(strings.Repeat(letter, f.MaxLen))
			accept("longest of "+letter, longest, longest)
			refuse("too_long", "value is too long", toJSON(strings.Repeat(letter, f.MaxLen+1)))
		}
		special := toJSON("\x01\b\f\n\r\t\x1f \"\\/ é e\u0301 \u2028\u2029\ufeff\uffff <&>")
		accept("special characters", special, special)
		accept("escaped", `"\u0061\ud83d\ude00\/"`, `"a😀/"`)
		accept("spaces are kept", `"  a "`, `"  a "`)
		refuse("wrong_type", "value must be a string", `{}`, `[]`, `["a"]`)
		literals := []string{"14.99", "0", "-1e3", "12345.0", "123456789012345678901234567890"}
		for _, literal := range literals {
			if f.Type == schema.String {
				refuse("wrong_type", "value must be a string", literal)
			} else {
				accept(literal, literal, toJSON(literal))
			}
		}
		if f.Type != schema.String {
			refuse("too_long", "value is too long", strings.Repeat("1", f.MaxLen+1))
		}
		for _, literal := range []string{"true", "false"} {
			if f.Type == schema.Label {
				accept(literal, literal, toJSON(literal))
			} else {
				refuse("wrong_type", "value must be a string", literal)
			}
		}
	case schema.Integer, schema.Long, schema.Time:
		low, high := int64(math.MinInt64), int64(math.MaxInt64)
		switch {
		case f.Range != nil:
			low, high = f.Range.Min, f.Range.Max
		case f.Type == schema.Integer:
			low, high = math.MinInt32, math.MaxInt32
		}
		accept("lowest", fmt.Sprint(low), fmt.Sprint(low))
		accept("highest", fmt.Sprint(high), fmt.Sprint(high))
		accept("zero", "0", "0")
		accept("minus zero", "-0", "0")
		accept("with a fraction of zero", "5.0", "5")
		accept("with an exponent", "0.5e1", "5")
		accept("with a negative exponent", "5000E-3", "5")
		if f.Range == nil {
			accept("a thousand", "1e3", "1000")
			accept("in the past", "-1", "-1")
		}
		between := fmt.Sprintf("value must be between %d and %d", low, high)
		if low > math.MinInt64 {
			refuse("out_of_range", between, fmt.Sprint(low-1), fmt.Sprint(high+1))
		}
		refuse("out_of_range", between, "9223372036854775808", "-9223372036854775809", "1e19", "1e400", "100000000000000000000000.0", "1e99999999999999999999")
		refuse("wrong_type", "value must be a whole number", "5.5", "1e-3", "-0.1", "0.99999999999999999999", "1e-99999999999999999999")
		refuse("wrong_type", "value must be a number", `"12"`, `""`, `"x"`, `true`, `{}`, `[]`, `[1]`)
	case schema.Double:
		for _, n := range []string{"0", "0.1", "-14.99", "1e3", "5.0", "1e21", "123456789012345680000", "1.7976931348623157e308", "-1e-300", "5e-324", "1e-400", "9007199254740993"} {
			show := n
			switch n {
			case "1e-400": // too small for a double
				show = "0"
			case "9007199254740993": // between two doubles
				show = "9007199254740992"
			}
			accept(n, n, show)
		}
		refuse("out_of_range", "value", "1e400", "-1e309")
		refuse("wrong_type", "value must be a number", `"12"`, `""`, `true`, `{}`, `[]`)
	case schema.Boolean:
		accept("true", "true", "true")
		accept("false", "false", "false")
		refuse("wrong_type", "must be boolean", `"true"`, `""`, `1`, `0`, `{}`, `[]`)
	case schema.List:
		refuse("wrong_type", "value must be an array", `{}`, `"x"`, `""`, `1`, `true`)
	}
	return cases
}

// cleared returns how a field is shown that has no value.
func cleared(f *schema.Field) string {
	switch {
	case f.Name == "modify_time": // kept by the server
		return `"<now>"`
	case f.Type == schema.Boolean && f.Default != "":
		return f.Default
	case f.Type == schema.List && f.Form == schema.Map:
		return `{"<only>": true}`
	case f.Type == schema.List:
		return "[]"
	}
	return "null"
}

// fieldCase is one record with one value in question.
type fieldCase struct {
	valueCase
	field string // to blame, nested ones with a dot
	give  raw    // what to add to the record
	id    string // where to look it up, when the value is its id
}

// companions are what a field needs beside it to be kept.
var companions = map[string]raw{
	"inactive_time":   {"is_deleted": json.RawMessage("true")},
	"inactive_reason": {"is_deleted": json.RawMessage("true")},
}

// insertCases returns all cases of the fields of a family, for new records.
func insertCases(f *resource.Family) []fieldCase {
	var cases []fieldCase
	for i := range f.Schema.Fields {
		field := &f.Schema.Fields[i]
		if i == f.ID && f.Generated != nil {
			continue // nobody gives a new record its id
		}
		names := []string{field.Name}
		if field.Alias != "" {
			names = append(names, field.Alias)
		}
		if field.ReadOnly {
			show := cleared(field)
			if field.Shown == schema.Never {
				show = `"<absent>"`
			}
			for _, value := range []string{`true`, `"x"`, `5`, `{}`, `null`} {
				cases = append(cases, fieldCase{field: field.Name, give: raw{field.Name: json.RawMessage(value)},
					valueCase: valueCase{name: "read-only " + value, show: fmt.Sprintf(`{%q: %s}`, field.Name, show)}})
			}
			continue
		}
		for _, name := range names {
			for _, v := range slices.Concat(valuesOf(field), nothings(field)) {
				if i == keyOf(f) && (v.give == nil || v.name == "null" || v.name == "empty") {
					v.code, v.message = "missing_field", "Missing required field"
				}
				fc := fieldCase{valueCase: v, field: field.Name, give: raw{name: v.give}}.with(companions[name])
				if v.code == "" {
					fc.show = fmt.Sprintf(`{%q: %s}`, field.Name, v.show)
				}
				if i == keyOf(f) || i == f.Account {
					if i == f.Account && i != f.ID && v.code == "" {
						continue // of accounts that exist there is one; see testLongestIDs
					}
					if v.code == "" && json.Unmarshal([]byte(v.show), &fc.id) != nil {
						panic("an id is shown as a string")
					}
				}
				cases = append(cases, fc)
			}
		}
		cases = append(cases, nestedCases(f.Schema, i)...)
	}
	return cases
}

func (fc fieldCase) with(more raw) fieldCase {
	fc.give = fc.give.with(more)
	return fc
}

// nothings returns the cases of null, of empty text and of no value at all.
func nothings(f *schema.Field) []valueCase {
	null := valueCase{name: "null", give: json.RawMessage("null"), show: cleared(f)}
	empty := valueCase{name: "empty", give: json.RawMessage(`""`), show: cleared(f)}
	omitted := valueCase{name: "omitted", show: cleared(f)}
	switch {
	case f.Required != schema.Optional:
		for _, v := range []*valueCase{&null, &empty, &omitted} {
			v.code, v.message = "missing_field", "Missing required field"
		}
	case f.Default == "now" || f.Name == "inactive_time":
		null.show, omitted.show = `"<now>"`, `"<now>"`
	}
	cases := []valueCase{null, omitted}
	if f.Type == schema.String || f.Type == schema.ID || f.Type == schema.Label {
		cases = append(cases, empty)
	}
	if f.Type == schema.List {
		none := null
		none.name, none.give = "no entries", json.RawMessage("[]")
		cases = append(cases, none)
	}
	return cases
}

// nestedCases returns the cases of the entries of the list at ordinal i.
func nestedCases(s *schema.Schema, i int) []fieldCase {
	list := &s.Fields[i]
	if list.Type != schema.List {
		return nil
	}
	var cases []fieldCase
	for _, entries := range []string{`[5]`, `["x"]`, `[null]`, `[[]]`, `[true]`, toJSON([]any{complete(list.Sub), nil})} {
		cases = append(cases, fieldCase{field: list.Name, give: raw{list.Name: json.RawMessage(entries)},
			valueCase: valueCase{name: "entries that are no objects", code: "wrong_type", message: "must be an object"}})
	}
	for n := range list.Sub {
		sub := &list.Sub[n]
		for _, v := range slices.Concat(valuesOf(sub), nothings(sub)) {
			entry := complete(list.Sub)
			if v.give == nil {
				delete(entry, sub.Name)
			} else {
				entry[sub.Name] = v.give
			}
			fc := fieldCase{valueCase: v, field: list.Name + "." + sub.Name, give: raw{list.Name: json.RawMessage("[" + toJSON(entry) + "]")}}
			switch {
			case sub.NullDeletes && v.name == "null":
				fc.code, fc.show = "", fmt.Sprintf(`{%q: []}`, list.Name)
			case v.code == "":
				fc.show = fmt.Sprintf(`{%q: %s}`, list.Name, shownEntry(list, entry, sub, v.show))
			}
			cases = append(cases, fc)
		}
	}
	return cases
}

// shownEntry returns the pattern of a list with one entry, in which the field
// sub is shown as value.
func shownEntry(list *schema.Field, entry raw, sub *schema.Field, value string) string {
	shown := func(f *schema.Field) string {
		if f == sub {
			return value
		}
		return string(entry[f.Name])
	}
	switch list.Form {
	case schema.Strings:
		return "[" + shown(&list.Sub[0]) + "]"
	case schema.Map:
		return fmt.Sprintf(`{"<only>": true, %s: %s}`, shown(&list.Sub[0]), shown(&list.Sub[1]))
	}
	members := []string{`"<only>": true`}
	for i := range list.Sub {
		members = append(members, fmt.Sprintf("%q: %s", list.Sub[i].Name, shown(&list.Sub[i])))
	}
	return "[{" + strings.Join(members, ", ") + "}]"
}

// testFieldsInserted uploads a record for each case at once and looks at what
// became of each.
func testFieldsInserted(c *client, f *resource.Family) {
	c.upload("/accounts", account("acme"))
	path := "/" + f.Schema.Name
	cases := insertCases(f)
	var records, failures []string
	counts := map[string]int{}
	for i := range cases {
		fc := &cases[i]
		id := fmt.Sprintf("case %d", i)
		r := minimal(f, id)
		for name, value := range fc.give {
			if value == nil {
				delete(r, name)
			} else {
				r[name] = value
			}
		}
		if fc.id == "" {
			fc.id = id
		}
		records = append(records, toJSON(r))
		if fc.code != "" {
			counts["failed"]++
			failures = append(failures, fmt.Sprintf(`{"record": %d, "status_is_ok": false, "code": %q, "field": %q, "message": "<text>"}`, i, fc.code, fc.field))
		}
	}
	for _, dryRun := range []bool{true, false} {
		a := c.post(path, fmt.Sprintf(`{"options": {"dry_run": %t}, "records": [%s]}`, dryRun, strings.Join(records, ",")))
		a.want(fmt.Sprintf(`{"status_is_ok": true, "inserted": %d, "changed": 0, "unchanged": 0, "failed": %d, "failed_results": [%s]}`,
			len(cases)-counts["failed"], counts["failed"], strings.Join(failures, ",")))
		failed, _ := a.member("failed_results").([]any)
		for _, entry := range failed {
			i, _ := dig(entry, "record").(json.Number).Int64()
			message, _ := dig(entry, "message").(string)
			if name := "'" + cases[i].field + "'"; !strings.Contains(message, name) || !strings.Contains(message, cases[i].message) {
				c.Errorf("%s given as %s: the message is %q, want %s … %s", cases[i].field, cases[i].name, message, name, cases[i].message)
			}
		}
		if dryRun {
			c.get(pathOf(f, "case 0")).want(`{"status_is_ok": false}`)
		}
	}
	for i := range cases {
		fc := &cases[i]
		if fc.code != "" {
			if fc.id == fmt.Sprintf("case %d", i) && i%7 == 0 { // a sample; the list below counts them all
				c.get(pathOf(f, fc.id)).want(`{"status_is_ok": false, "results": []}`)
			}
			continue
		}
		for _, problem := range matchText(fc.show, c.one(pathOf(f, fc.id))) {
			c.Errorf("%s given as %s: %s", fc.field, fc.name, problem)
		}
	}
	inserted := len(cases) - counts["failed"]
	if f.ID == f.Account {
		inserted++ // acme
	}
	if n := len(c.get(listOf(f) + "?include_inactive=1").results()); n != inserted {
		c.Errorf("%d records, want %d", n, inserted)
	}
}

// testFieldsModified modifies one field of a full record at a time, by POST and
// by PUT: null and "" clear it, or fail and leave it, and so does a value that
// is refused.
func testFieldsModified(c *client, f *resource.Family) {
	c.upload("/accounts", account("acme"))
	path := "/" + f.Schema.Name
	full := minimal(f, "").with(complete(f.Schema.Fields))
	delete(full, "stage")      // it contradicts stage_history
	delete(full, "line_items") // sums that are cleared are derived from them
	if f.Generated != nil {
		delete(full, f.Schema.Fields[f.ID].Name)
	}
	full[f.Schema.Fields[f.Account].Name] = quote("acme")
	type modification struct {
		field string
		give  string
		show  string // "" when it is refused
		code  string
	}
	var cases []modification
	for i := range f.Schema.Fields {
		field := &f.Schema.Fields[i]
		if field.ReadOnly || i == f.ID || i == keyOf(f) || i == f.Account {
			continue
		}
		null := modification{field.Name, "null", fmt.Sprintf(`{%q: %s}`, field.Name, cleared(field)), ""}
		if field.Required != schema.Optional {
			null.show, null.code = "", "missing_field"
		}
		if field.Name == "is_deleted" || field.Name == "is_churned" {
			null.show = fmt.Sprintf(`{%q: false, "is_active": false}`, field.Name) // the other one stays
		}
		if field.Name == "inactive_time" {
			continue // null asks for the default; see the tests of inactivity
		}
		cases = append(cases, null)
		if field.Type == schema.String || field.Type == schema.ID {
			empty := null
			empty.give = `""`
			cases = append(cases, empty)
		}
		for _, v := range valuesOf(field) {
			if v.code != "" && len(v.give) < 20 {
				cases = append(cases, modification{field.Name, string(v.give), "", v.code})
				break
			}
		}
	}
	var records []string
	for i := range cases {
		id := quote(fmt.Sprintf("case %d", i))
		records = append(records, toJSON(full.with(raw{f.Schema.Fields[keyOf(f)].Name: id})))
	}
	all := `{"records": [` + strings.Join(records, ",") + `]}`
	c.post(path, all).want(fmt.Sprintf(`{"inserted": %d, "failed": 0}`, len(cases)))
	before := make([]string, len(cases))
	one := func(i int) string { return pathOf(f, fmt.Sprintf("case %d", i)) }
	for i := range cases {
		before[i] = toJSON(c.one(one(i)))
	}
	var patches, failures []string
	for i, m := range cases {
		patch := raw{f.Schema.Fields[f.Account].Name: quote("acme"), m.field: json.RawMessage(m.give)}
		patch[f.Schema.Fields[keyOf(f)].Name] = quote(fmt.Sprintf("case %d", i))
		patches = append(patches, toJSON(patch))
		if m.code != "" {
			failures = append(failures, fmt.Sprintf(`{"record": %d, "code": %q, "field": %q}`, i, m.code, m.field))
			a := c.put(one(i), fmt.Sprintf(`{"data": {%q: %s}}`, m.field, m.give)).fails(m.code, m.field)
			if message, _ := a.member("message").(string); !strings.Contains(message, "'"+m.field+"'") {
				c.Errorf("the message does not name %s: %q", m.field, message)
			}
		}
	}
	c.post(path, `{"records": [`+strings.Join(patches, ",")+`]}`).want(fmt.Sprintf(
		`{"status_is_ok": true, "inserted": 0, "failed": %d, "failed_results": [%s]}`, len(failures), strings.Join(failures, ",")))
	for i, m := range cases {
		after := c.one(one(i))
		switch {
		case m.code != "":
			if text := toJSON(after); text != before[i] {
				c.Errorf("%s given as %s was refused, but changed the record from\n%s\nto\n%s", m.field, m.give, before[i], text)
			}
		default:
			for _, problem := range matchText(m.show, after) {
				c.Errorf("%s given as %s: %s", m.field, m.give, problem)
			}
		}
	}
	c.sub("put", func(c *client) {
		c.post(path, all)
		for i, m := range cases {
			if m.code != "" || i%3 != 0 { // a sample: PUT and POST share the code behind
				continue
			}
			c.put(one(i), fmt.Sprintf(`{"data": {%q: %s}}`, m.field, m.give)).want(`{"status_is_ok": true}`)
			for _, problem := range matchText(m.show, c.one(one(i))) {
				c.Errorf("%s given as %s: %s", m.field, m.give, problem)
			}
		}
	})
}

// testFieldsShown shows that reads return every field, unset ones too, and
// lists all but those that only a single read or an include brings (Q1, A1).
func testFieldsShown(c *client, f *resource.Family) {
	c.upload("/accounts", account("acme"))
	path := "/" + f.Schema.Name
	c.post(path, `{"records": [`+toJSON(minimal(f, "acme"))+`]}`).want(`{"status_is_ok": true}`)
	names := func(presences ...schema.Presence) []string {
		var names []string
		for i := range f.Schema.Fields {
			if slices.Contains(presences, f.Schema.Fields[i].Shown) {
				names = append(names, f.Schema.Fields[i].Name)
			}
		}
		slices.Sort(names)
		return names
	}
	inAList := names(schema.Everywhere)
	whole := names(schema.Everywhere, schema.OnInclude, schema.SingleRead)
	list := listOf(f)
	reads := map[string][]string{
		list: inAList, pathOf(f, "acme"): whole, list + "?include=": inAList, list + "?include=nothing": inAList,
	}
	if f.ID != f.Account && !f.OwnID {
		reads[path+"/acme/acme"] = whole
		reads["/accounts/acme/"+strings.TrimPrefix(f.Schema.Name, "account_")] = whole
	}
	for _, extra := range names(schema.OnInclude) {
		want := append(slices.Clone(inAList), extra)
		slices.Sort(want)
		reads[path+"?include="+extra] = want
		reads[path+"?include=nothing,%20"+extra+"%20,"+extra] = want
	}
	if extras := names(schema.OnInclude); len(extras) > 0 {
		reads[path+"?include="+strings.Join(extras, ",")] = names(schema.Everywhere, schema.OnInclude)
	}
	for read, want := range reads {
		shown := c.one(read)
		var got []string
		for name, value := range shown {
			got = append(got, name)
			i, known := f.Schema.Lookup(name)
			if !known || f.Schema.Fields[i].Name != name {
				c.Errorf("GET %s shows %s, which is not declared", read, name)
				continue
			}
			field := &f.Schema.Fields[i]
			if field.Required != schema.Optional || field.Default == "now" || i == f.ID || i == keyOf(f) {
				continue
			}
			for _, problem := range matchText(cleared(field), value) {
				c.Errorf("GET %s: unset %s is shown wrong: %s", read, name, problem)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			c.Errorf("GET %s shows\n%v, want\n%v", read, got, want)
		}
	}
}

// testLongestIDs shows that an id of 256 characters of four bytes works
// everywhere.
func testLongestIDs(c *client) {
	a, u := strings.Repeat(wideRune, 256), strings.Repeat("🎉", 256)
	twin := strings.Repeat(wideRune, 255) + "😁"
	key, email := strings.Repeat("🔑", 256), strings.Repeat("📧", 256)
	c.upload("/accounts",
		account(a, object{"name": strings.Repeat(wideRune, 512), "parent_account_id": twin, "crm_account_id": twin,
			"custom_label_dimensions": []any{object{"key": key, "value": key}}, "assigned_csms": []any{object{"email": email}}}),
		account(twin, object{"name": strings.Repeat(wideRune, 512)}))
	for _, family := range families[1:] {
		c.upload(family, person(a, u), person(twin, u), person(a, twin, object{"custom_event_dimensions": []any{object{"key": key, "value": 1}}}))
		for _, order := range []string{"user_id", "account_id"} {
			// What comes after the first thousand bytes does not count for the order.
			seen := map[string]bool{}
			for _, r := range c.get(family + "?direction=asc&order_by=" + order).results() {
				seen[toJSON([]any{r["account_id"], r["user_id"]})] = true
			}
			if len(seen) != 3 {
				c.Errorf("%s ordered by %s: %d records, want 3", family, order, len(seen))
			}
		}
		c.get(family + "/" + segment(u)).want(toJSON(object{"results": []any{object{"user_id": u}, object{"user_id": u}}}))
		c.put(family+"/"+segment(u), toJSON(object{"data": object{"account_id": a, "phone": "1"}})).want(`{"status_is_ok": true}`)
		c.get(family + "/" + segment(u) + "/" + segment(a)).want(toJSON(object{"results": []any{object{"account_id": a, "phone": "1"}}}))
		c.delete(family + "/" + segment(twin) + "?dimension=" + segment(key)).want(`{"status_is_ok": true}`)
		c.get(family + "/" + segment(twin)).want(`{"results": [{"custom_event_dimensions": []}]}`)
		c.delete(family + "/" + segment(u) + "/" + segment(a)).want(`{"status_is_ok": true}`)
		c.get("/accounts/" + segment(a) + "/" + strings.TrimPrefix(family, "/account_")).want(toJSON(object{"results": []any{object{"user_id": twin}}}))
	}
	c.get("/accounts?direction=asc").want(toJSON(object{"results": []any{object{"account_id": a}, object{"account_id": twin}}}))
	for _, order := range []string{"name", "join_date"} {
		if n := len(c.get("/accounts?order_by=" + order).results()); n != 2 {
			c.Errorf("ordered by %s: %d accounts, want 2", order, n)
		}
	}
	c.delete("/accounts/" + segment(a) + "/dimension_labels/" + segment(key)).want(`{"status_is_ok": true}`)
	c.delete("/accounts/" + segment(a) + "/assigned_csms/" + segment(email)).want(`{"status_is_ok": true}`)
	c.get("/accounts/" + segment(a)).want(`{"results": [{"assigned_csms": [], "custom_label_dimensions": {"<only>": true}}]}`)
	c.get("/accounts/" + segment(a+"x")).want(`{"status_is_ok": false, "message": "Account not found"}`)
	c.get("/account_users/" + segment(u+"x")).want(`{"status_is_ok": false, "message": "User not found"}`)
	c.delete("/account_users/" + segment(u) + "/" + segment(a+"x")).want(`{"status_is_ok": false}`)
	c.get("/accounts/" + segment(a+"x") + "/users").want(`{"status_is_ok": false, "message": "Account not found"}`)
}

// testRequiredInLists shows that what an entry needs when it is new may be left
// out when it is not (Q4).
func testRequiredInLists(c *client) {
	c.play(
		step{"new without url", "POST /accounts", body(nil, account("a", object{"documents": []any{object{"name": "d"}}})),
			`{"status_is_ok": false, "failed_results": [{"code": "missing_field", "field": "documents.url"}]}`},
		step{"nothing of it is applied", "GET /accounts/a", "", `{"status_is_ok": false}`},
		step{"one of two is enough to fail", "POST /accounts", body(nil, account("a", object{"documents": []any{object{"name": "c", "url": "u"}, object{"name": "d"}}})), `{"failed_results": [{"field": "documents.url"}]}`},
		step{"new", "POST /accounts", body(nil, account("a", object{"documents": []any{object{"name": "d", "url": "u"}}})), `{"inserted": 1}`},
		step{"known without url", "PUT /accounts/a", `{"data": {"documents": [{"name": "d", "description": "x"}]}}`, ""},
		step{"the url stays", "GET /accounts/a", "", `{"results": [{"documents": [{"name": "d", "url": "u", "description": "x"}]}]}`},
		step{"known with an empty url", "PUT /accounts/a", `{"data": {"phone": "1", "documents": [{"name": "d", "url": ""}]}}`, `{"status_is_ok": false, "field": "documents.url"}`},
		step{"known and new in one record", "PUT /accounts/a", `{"data": {"documents": [{"name": "e", "url": "v"}, {"name": "e", "description": "y"}]}}`, ""},
		step{"both are there", "GET /accounts/a", "", `{"results": [{"phone": null, "documents": [{"name": "d", "url": "u"}, {"name": "e", "url": "v", "description": "y"}]}]}`},
	)
}

package csvfile_test

import (
	"bytes"
	"strings"
	"testing"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/catalog"
	"tenure/core/conversations"
	"tenure/core/csvfile"
	"tenure/core/metrics"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/statements"
)

// quote writes a cell so that any text survives.
func quote(cell string) string { return `"` + strings.ReplaceAll(cell, `"`, `""`) + `"` }

// rowOf reads a file of one row that has these cells below their headers.
func rowOf(t testing.TB, f *resource.Family, cells ...string) *csvfile.Row {
	t.Helper()
	// A file must name the account; some give one, some none.
	header, row := []string{}, []string{}
	for i := 0; i < len(cells); i += 2 {
		header, row = append(header, quote(cells[i])), append(row, quote(cells[i+1]))
	}
	file := strings.Join(header, ",") + "\n" + strings.Join(row, ",") + "\n"
	_, rows := readAll(t, f, []byte(file))
	if len(rows) != 1 {
		t.Fatalf("%d rows in %q", len(rows), file)
	}
	return rows[0]
}

func TestACellSaysWhatItsColumnDeclares(t *testing.T) {
	for _, c := range []struct {
		column, cell string
		want         string // the value in JSON, "" for none, or
		refusal      []string
	}{
		{"name", "Acme", `"Acme"`, nil},
		{"name", " Acme ", `" Acme "`, nil},
		{"name", "a\"b\\c\nd\té", `"a\"b\\c\nd\té"`, nil},
		{"name", "1,234.50", `"1,234.50"`, nil},
		{"name", "TRUE", `"TRUE"`, nil},
		{"name", "#hashtag", `"#hashtag"`, nil},
		{"name", "#N/A", "", []string{"#N/A", "error"}},
		{"name", " #REF! ", "", []string{"#REF!"}},
		{"name", "#BEZUG!", "", []string{"#BEZUG!"}},
		{"name", "########", "", []string{"########"}},
		{"name", "#", `"#"`, nil},
		{"name", "'=1+1", `"=1+1"`, nil},
		{"name", "''=1+1", `"'=1+1"`, nil},
		{"name", "=1+1", `"=1+1"`, nil},
		{"name", "'quoted'", `"'quoted'"`, nil},
		{"name", "'+49 30", `"+49 30"`, nil},
		{"name", "'\tx", `"\tx"`, nil},
		{"name", `\N`, "null", nil},
		{"name", ` \N `, "null", nil},
		{"name", `\\N`, `"\\N"`, nil},
		{"name", `\\\N`, `"\\\\N"`, nil},
		{"name", `\n`, `"\\n"`, nil},
		{"name", `NULL`, `"NULL"`, nil},
		{"name", "", "", nil},
		{"name", "  ", "", nil},
		{"name", "\u00a0", "", nil},

		{"crm_account_id", "00123", `"00123"`, nil},
		{"crm_account_id", "12345.0", `"12345.0"`, nil},
		{"crm_account_id", "1E5", `"1E5"`, nil},
		{"crm_account_id", "-5", `"-5"`, nil},
		{"crm_account_id", "1.23457E+11", "", []string{"'1.23457E+11'", "long number", "formatted as text"}},
		{"crm_account_id", "1,23457E+15", "", []string{"long number"}},
		{"crm_account_id", "1E+18", "", []string{"long number"}},

		{"employees", "250", `250`, nil},
		{"employees", " 250 ", `250`, nil},
		{"employees", "-5", `-5`, nil},
		{"employees", "+5", `5`, nil},
		{"employees", "'-5", `-5`, nil},
		{"employees", "007", `7`, nil},
		{"employees", "0", `0`, nil},
		{"employees", "-0", `-0`, nil},
		{"employees", "5.0", `5.0`, nil},
		{"employees", "5.", `5`, nil},
		{"employees", "1E+05", `1e+05`, nil},
		{"employees", "1.5e3", `1.5e3`, nil},
		{"employees", `\N`, `null`, nil},
		{"employees", "", ``, nil},
		{"employees", "abc", "", []string{"must be a number (Number of employees), not 'abc'"}},
		{"employees", "12.5", "", []string{"must be a whole number (Number of employees), not '12.5'"}},
		{"employees", "1E-05", "", []string{"whole number"}},
		{"employees", "1,234", "", []string{"without thousands separators"}},
		{"employees", "1 234", "", []string{"without thousands separators"}},
		{"employees", "1'234", "", []string{"without thousands separators"}},
		{"employees", "1.234.567", "", []string{"without thousands separators"}},
		{"employees", "1.000", "", []string{"thousands separators"}},
		{"employees", "1.23457E+11", "", []string{"all its digits", "without decimals"}},
		{"employees", "1e999999999999999999999", "", []string{"all its digits"}},
		{"employees", "$5", "", []string{"currency sign"}},
		{"employees", "5 €", "", []string{"currency sign"}},
		{"employees", "5%", "", []string{"percent sign"}},
		{"employees", "(5)", "", []string{"minus sign"}},
		{"employees", "0x10", "", []string{"must be a number"}},
		{"employees", "NaN", "", []string{"must be a number"}},
		{"employees", "Infinity", "", []string{"must be a number"}},
		{"employees", "１２", "", []string{"must be a number"}},
		{"employees", "#DIV/0!", "", []string{"#DIV/0!"}},

		{"custom_value_dimensions.x", "12.50", `[{"key":"x","value":12.50}]`, nil},
		{"custom_value_dimensions.x", ".5", `[{"key":"x","value":0.5}]`, nil},
		{"custom_value_dimensions.x", "1.234", `[{"key":"x","value":1.234}]`, nil},
		{"custom_value_dimensions.x", "1.5E+20", `[{"key":"x","value":1.5e+20}]`, nil},
		{"custom_value_dimensions.x", `\N`, `[{"key":"x","value":null}]`, nil},
		{"custom_value_dimensions.x", "1,234.50", "", []string{"'custom_value_dimensions.x'", "decimal point", "thousands separators", "'1,234.50'"}},
		{"custom_value_dimensions.x", "1.234,50", "", []string{"decimal point", "'1.234,50'"}},
		{"custom_value_dimensions.x", "12,5", "", []string{"decimal point"}},
		{"custom_value_dimensions.x", "£12.50", "", []string{"currency sign"}},
		{"Custom_Label_Dimensions.Favorite Fruit", "mango", `[{"key":"Favorite Fruit","value":"mango"}]`, nil},
		{"custom_label_dimensions.a.b[1]", "14.99", `[{"key":"a.b[1]","value":"14.99"}]`, nil},
		{"custom_label_dimensions.x", "#NAME?", "", []string{"'custom_label_dimensions.x'", "#NAME?"}},

		{"is_churned", "TRUE", `true`, nil},
		{"is_churned", "Yes", `true`, nil},
		{"is_churned", " 1 ", `true`, nil},
		{"is_churned", "false", `false`, nil},
		{"is_churned", "NO", `false`, nil},
		{"is_churned", "0", `false`, nil},
		{"is_churned", `\N`, `null`, nil},
		{"is_churned", "x", "", []string{"'is_churned' must be TRUE or FALSE", "'x'"}},

		{"join_date", "1709251200000", `1709251200000`, nil},
		{"join_date", "1709251200000.0", `1709251200000.0`, nil},
		{"join_date", "-1709251200000", `-1709251200000`, nil},
		{"join_date", "0", `0`, nil},
		{"join_date", "2024-03-01", `1709251200000`, nil},
		{"join_date", "2024-03-01T10:00:00Z", `1709287200000`, nil},
		{"join_date", "2024-03-01t10:00:00z", `1709287200000`, nil},
		{"join_date", "2024-03-01 10:00", `1709287200000`, nil},
		{"join_date", "2024-03-01 10:00:00 UTC", `1709287200000`, nil},
		{"join_date", "2024-03-01T10:00:00.1239Z", `1709287200123`, nil},
		{"join_date", "2024-03-01T10:00:00+02:00", `1709280000000`, nil},
		{"join_date", "2024-03-01 10:00 -0530", `1709307000000`, nil},
		{"join_date", "2024-03-01T10:00+02", `1709280000000`, nil},
		{"join_date", "1969-12-31T23:59:59.999Z", `-1`, nil},
		{"join_date", "1970-01-01T00:00:01Z", `1000`, nil},
		{"join_date", "2024-02-30", "", []string{"existing", "'2024-02-30'"}},
		{"join_date", "2024-13-01", "", []string{"existing"}},
		{"join_date", "2024-03-01T25:00", "", []string{"existing"}},
		{"join_date", "2024-03-01T10:00+25:00", "", []string{"existing"}},
		{"join_date", "2024-03-01 10 o'clock", "", []string{"existing"}},
		{"join_date", "03/04/2024", "", []string{"2024-03-01T10:00:00Z", "yyyy-mm-dd", "'03/04/2024'"}},
		{"join_date", "3.4.24", "", []string{"yyyy-mm-dd"}},
		{"join_date", "1-Mar-24", "", []string{"yyyy-mm-dd"}},
		{"join_date", "1 March 2024", "", []string{"yyyy-mm-dd"}},
		{"join_date", "03/04/2024 10:00", "", []string{"yyyy-mm-dd"}},
		{"join_date", "yesterday", "", []string{"epoch milliseconds"}},
		{"join_date", "1.70925E+12", "", []string{"all its digits"}},
		{"join_date", "45352", "", []string{"day numbers"}},
		{"join_date", "1709251200", "", []string{"seconds"}},
		{"join_date", "#VALUE!", "", []string{"#VALUE!"}},
	} {
		row := rowOf(t, accounts.Family, "account_id", "1", c.column, c.cell)
		want := `{"account_id":"1"}`
		if c.want != "" {
			name, _, _ := strings.Cut(strings.ToLower(c.column), ".")
			want = `{"account_id":"1","` + name + `":` + c.want + `}`
		}
		if string(row.Record) != want || (row.Failure != nil) != (c.refusal != nil) {
			t.Errorf("%s %q: %s, %+v; want %s", c.column, c.cell, row.Record, row.Failure, want)
			continue
		}
		for _, words := range c.refusal {
			if !strings.Contains(row.Failure.Message, words) {
				t.Errorf("%s %q: %q does not say %q", c.column, c.cell, row.Failure.Message, words)
			}
		}
		if c.refusal != nil && (row.Failure.Code != core.WrongType || row.Failure.Field != c.column || !strings.HasPrefix(row.Failure.Message, "'"+c.column+"' ")) {
			t.Errorf("%s %q: %+v does not name the column", c.column, c.cell, row.Failure)
		}
	}
}

func TestAmountsAreWholeCentsAndTheRefusalSaysSo(t *testing.T) {
	for _, cell := range []string{"12.50", "$12", "twelve", "1,200"} {
		row := rowOf(t, statements.Family, "invoice_id", "i", "account_id", "a", "recurring", cell)
		if row.Failure == nil || !strings.Contains(row.Failure.Message, "in cents") {
			t.Errorf("%q: %+v", cell, row.Failure)
		}
	}
}

func TestListsHaveColumnsForEachOfTheirEntries(t *testing.T) {
	for _, c := range []struct {
		family *resource.Family
		cells  []string
		want   string
	}{
		{accounts.Family, []string{
			"account_id", "1", "documents[2].name", "B", "Documents[1].Name", "A", "documents[1].url", "u", "documents[2].url", `\N`, "documents[30].name", "",
			"assigned_csms[1].email", "a@x", "assigned_csms[2].email", "", "assigned_csms[3].email", "c@x",
			"custom_label_dimensions.b", "2", "custom_label_dimensions.a", "1", "custom_value_dimensions.n", "",
		}, `{"account_id":"1",` +
			`"assigned_csms":[{"email":"a@x"},{"email":"c@x"}],` +
			`"custom_label_dimensions":[{"key":"b","value":"2"},{"key":"a","value":"1"}],` +
			`"documents":[{"name":"A","url":"u"},{"name":"B","url":null}]}`},
		{metrics.Family, []string{
			"name", "logins", "account_id", "1", "metrics[1].timestamp", "2024-03-01", "metrics[1].value", "1.5", "metrics[2].timestamp", "", "metrics[2].value", "",
		}, `{"name":"logins","account_id":"1","metrics":[{"timestamp":1709251200000,"value":1.5}]}`},
		{people.Users, []string{"user_id", "u", "account_id", "1", "maling_country", "US"}, `{"user_id":"u","account_id":"1","mailing_country":"US"}`},
		{conversations.Notes, []string{"id", "12", "account_id", "1"}, `{"id":12,"account_id":"1"}`},
	} {
		row := rowOf(t, c.family, c.cells...)
		if string(row.Record) != c.want || row.Failure != nil {
			t.Errorf("%q:\n%s, %v\nwant\n%s", c.cells, row.Record, row.Failure, c.want)
		}
		if in := row.Input(c.family); in.Failure != nil {
			t.Errorf("%s: %v", row.Record, in.Failure)
		}
	}
}

func TestTheFirstRefusalIsTellingAndTheRestIsReadAllTheSame(t *testing.T) {
	row := rowOf(t, accounts.Family, "documents[1].name", "A", "account_id", "1", "documents[2].url", "#N/A", "join_date", "then", "employees", "7")
	if row.Failure == nil || row.Failure.Field != "join_date" {
		t.Errorf("%+v", row.Failure)
	}
	if want := `{"account_id":"1","employees":7,"documents":[{"name":"A"}]}`; string(row.Record) != want {
		t.Errorf("%s, want %s", row.Record, want)
	}
	in := row.Input(accounts.Family)
	if in.Failure != row.Failure || in.Patch[accounts.Family.ID].Text() != "1" {
		t.Errorf("%+v", in)
	}
	// What only the declaration can refuse, decoding refuses.
	in = rowOf(t, accounts.Family, "account_id", "1", "csm_score", "101").Input(accounts.Family)
	if in.Failure == nil || in.Failure.Code != core.OutOfRange {
		t.Errorf("%+v", in.Failure)
	}
}

func TestARowThatIsNotAsTheHeaderSaysIsRefusedOnItsOwn(t *testing.T) {
	// Inspect would refuse the file; a reader that goes on must not lose cells.
	d := inspect(t, accounts.Family, []byte("account_id,name\n1,A\n"))
	r, err := csvfile.NewReader(strings.NewReader("account_id,name\n1,A,x\n2,B\n"), d, accounts.Family, csvfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if row, err := r.Next(); err != nil || row.Failure == nil || !strings.Contains(row.Failure.Message, "more cells") {
		t.Errorf("%+v, %v", row, err)
	}
	if row, err := r.Next(); err != nil || row.Failure != nil {
		t.Errorf("%+v, %v", row, err)
	}
}

func FuzzAFileIsRefusedOrEachOfItsRowsIsReadOrRefused(f *testing.F) {
	for _, family := range catalog.All() {
		f.Add(uncommented(family, ','))
		f.Add(uncommented(family, ';'))
	}
	for _, file := range []string{
		"sep=;\naccount_id;name\n1;\"A\n\"\"B\"\n", "account_id\r1\r", "\xff\xfea\x00", "account_id\n\xe9", "account_id,documents[1].url\n\\N,'=1\n",
		"account_id,join_date,employees\n1,2024-03-01 10:00 +0100,1E+05\n2,#N/A,1.000\n", "account_id\n\"", "\"sep=", "account_id\n# x\n#\n,\n",
	} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, family := range []*resource.Family{accounts.Family, metrics.Family} {
			d, err := csvfile.Inspect(bytes.NewReader(file), family, 1<<20)
			if err != nil {
				if failure, ok := err.(*core.Failure); !ok || failure.Message == "" || failure.Code == "" {
					t.Fatalf("%q: %v", file, err)
				}
				continue
			}
			_, rows := readAll(t, family, file)
			var b bytes.Buffer
			rejected := csvfile.NewRejected(&b, d, false)
			for _, row := range rows {
				checkRecord(t, family, row)
				if err := rejected.Write(row, &core.Failure{Code: core.Malformed, Message: "=no"}); err != nil {
					t.Fatal(err)
				}
			}
			if err := rejected.Flush(); err != nil {
				t.Fatal(err)
			}
			_, again := readAll(t, family, b.Bytes())
			if len(again) != len(rows) {
				t.Fatalf("%q: %d rows of %d come back from\n%s", file, len(again), len(rows), b.Bytes())
			}
			for i := range rows {
				if !bytes.Equal(rows[i].Record, again[i].Record) {
					t.Fatalf("%q: row %d comes back as %s, was %s", file, i+1, again[i].Record, rows[i].Record)
				}
			}
		}
	})
}

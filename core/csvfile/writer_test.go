package csvfile_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/csvfile"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/schema"
)

func checkRecord(t resourcetest.Failer, f *resource.Family, row *csvfile.Row) {
	t.Helper()
	if err := schema.Valid(row.Record); err != nil || schema.Kind(row.Record) != '{' {
		t.Fatalf("row %d: the record %s is no JSON object: %v", row.Number, row.Record, err)
	}
	if row.Failure != nil && (row.Failure.Code == "" || row.Failure.Message == "") {
		t.Fatalf("row %d: %+v", row.Number, row.Failure)
	}
	row.Input(f)
}

func TestNoSpreadsheetTakesWhatIsHandedOutForAFormula(t *testing.T) {
	for text, want := range map[string]string{
		"=1+1": "'=1+1", "+1 555": "'+1 555", "-x": "'-x", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1",
		" =1": "' =1", "\u00a0-x": "'\u00a0-x", "＝1+1": "'＝1+1", "＠x": "'＠x", "'=1": "''=1", "''+x": "'''+x", "-": "'-", "-5-5": "'-5-5", "-5%": "'-5%",
		"-5": "-5", "+5": "+5", "-0.5": "-0.5", "-1.5e+10": "-1.5e+10", "a=1": "a=1", "# x": "'# x", "#": "'#", "#x": "#x", "'a": "'a", "'-5": "''-5", "": "", "é": "é", "1-1": "1-1",
	} {
		if got := csvfile.Neutralise(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// wild is text with what could be trouble.
func wild() *rapid.Generator[string] {
	special := rapid.SampledFrom([]string{"'", "=", "+", "-", "@", "\t", "\r", "\n", " ", ",", ";", "|", "\"", "5", "#", "\\", "N", ".", "é", "＝", "\u00a0", "😀"})
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "any") {
			return rapid.String().Draw(t, "text")
		}
		return strings.Join(rapid.SliceOfN(special, 0, 6).Draw(t, "special"), "")
	})
}

func TestWhatIsNeutralisedCanBeRestored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := wild().Draw(t, "text")
		safe := csvfile.Neutralise(text)
		if got := csvfile.Restore(safe); got != text {
			t.Fatalf("%q becomes %q, and then %q", text, safe, got)
		}
		if again := csvfile.Restore(csvfile.Neutralise(safe)); again != safe {
			t.Fatalf("%q becomes %q", safe, again)
		}
		if safe != "" && strings.ContainsRune("=@\t\r\n", rune(safe[0])) {
			t.Fatalf("%q becomes %q", text, safe)
		}
	})
}

func TestWhatIsWrittenIsReadBackByAnyParser(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		separator := rapid.SampledFrom([]rune{',', ';', '\t', '|'}).Draw(t, "separator")
		columns := rapid.IntRange(1, 4).Draw(t, "columns")
		rows := rapid.SliceOfN(rapid.SliceOfN(wild(), columns, columns), 0, 4).Draw(t, "rows")
		var b bytes.Buffer
		w := csvfile.NewWriter(&b, separator)
		for _, row := range rows {
			if err := w.Write(row...); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		text, marked := strings.CutPrefix(b.String(), bom)
		if marked != (len(rows) > 0) {
			t.Fatalf("%q has no byte order mark", b.String())
		}
		r := csv.NewReader(strings.NewReader(text))
		r.Comma = separator
		got, err := r.ReadAll()
		if err != nil || len(got) != len(rows) {
			t.Fatalf("%q is read as %q, %v", text, got, err)
		}
		for i, row := range rows {
			for j, cell := range row {
				if want := strings.ReplaceAll(csvfile.Neutralise(cell), "\r\n", "\n"); got[i][j] != want {
					t.Fatalf("%q is read as %q in\n%q", want, got[i][j], text)
				}
			}
		}
	})
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errDisk }

var errDisk = bytes.ErrTooLarge // any error

func TestAWriterTellsOfTroubleAtTheLatestInTheEnd(t *testing.T) {
	w := csvfile.NewWriter(fullDisk{}, ',')
	_ = w.Write("a")
	if w.Flush() != errDisk {
		t.Error("the trouble is not told")
	}
	r := csvfile.NewRejected(fullDisk{}, &csvfile.Dialect{Separator: ",", Header: []string{"account_id"}}, false)
	if r.Flush() != errDisk {
		t.Error("the trouble with the header is not told")
	}
}

func TestRejectedRowsCanBeMendedAndUploadedAgain(t *testing.T) {
	file := utf16(t, unicode.LittleEndian, unicode.UseBOM,
		"account_id\tname\temployees\trejected_message\t\r\n1\t=cmd|'/c calc'!A0\t-5\told\t\r\n2\t'@x\tabc\t\t\r\n3\t\"say \"\"hi\"\"\nž\"\r\n")
	d, rows := readAll(t, accounts.Family, []byte(file))
	var b bytes.Buffer
	rejected := csvfile.NewRejected(&b, d, false)
	for i, row := range rows {
		why := row.Failure
		if why == nil {
			why = &core.Failure{Code: core.NotFound, Field: "account_id", Message: "Account not found"}
		}
		if i == 2 { // another process goes on
			if err := rejected.Flush(); err != nil {
				t.Fatal(err)
			}
			rejected = csvfile.NewRejected(&b, d, true)
		}
		if err := rejected.Write(row, why); err != nil {
			t.Fatal(err)
		}
	}
	if err := rejected.Flush(); err != nil {
		t.Fatal(err)
	}
	want := bom + strings.Join([]string{
		"account_id\tname\temployees\t\trejected_row\trejected_message\trejected_code\trejected_field",
		"1\t\"'=cmd|'/c calc'!A0\"\t-5\t\t1\tAccount not found\tnot_found\taccount_id",
		"2\t'@x\tabc\t\t2\t\"'employees' must be a number (Number of employees), not 'abc'\"\twrong_type\temployees",
		"3\t\"say \"\"hi\"\"\nž\"\t\t\t3\tAccount not found\tnot_found\taccount_id", "",
	}, "\r\n")
	if b.String() != want {
		t.Fatalf("%q\nwant\n%q", b.String(), want)
	}
	mended := strings.Replace(b.String(), "abc", "7", 1)
	_, again := readAll(t, accounts.Family, []byte(mended))
	for i, record := range []string{
		`{"account_id":"1","name":"=cmd|'/c calc'!A0","employees":-5}`, `{"account_id":"2","name":"@x","employees":7}`, `{"account_id":"3","name":"say \"hi\"\nž"}`,
	} {
		if string(again[i].Record) != record || again[i].Failure != nil {
			t.Errorf("%s, %v; want %s", again[i].Record, again[i].Failure, record)
		}
	}
}

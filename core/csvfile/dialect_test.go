package csvfile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/conversations"
	"tenure/core/csvfile"
	"tenure/core/metrics"
	"tenure/core/resource"
	"tenure/core/subscriptions"
	"tenure/core/tickets"
)

const bom = "\ufeff"

func utf16(t testing.TB, e unicode.Endianness, mark unicode.BOMPolicy, text string) string {
	t.Helper()
	s, err := unicode.UTF16(e, mark).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func western(t testing.TB, text string) string {
	t.Helper()
	s, err := charmap.Windows1252.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryDialectIsRecognised(t *testing.T) {
	type dialect = csvfile.Dialect
	long := strings.Repeat("x", 70_000)
	for name, c := range map[string]struct {
		file  string
		want  dialect
		words string
		name  string // of the account in the last row
	}{
		"plain": {
			"account_id,name\n1,A\n",
			dialect{Encoding: csvfile.UTF8, Separator: ",", LineEnding: "lf", Rows: 1}, "UTF-8; separated by commas with Unix line ends; 2 columns, 1 row", "A"},
		"no line end at the end": {
			"account_id,name\r\n1,A\r\n2,B",
			dialect{Encoding: csvfile.UTF8, Separator: ",", LineEnding: "crlf", Rows: 2}, "UTF-8; separated by commas with Windows line ends; 2 columns, 2 rows", "B"},
		"byte order mark": {
			bom + "account_id,name\r\n1,Zoë\r\n",
			dialect{Encoding: csvfile.UTF8, BOM: true, Separator: ",", LineEnding: "crlf", Rows: 1, Sample: "Zoë"}, "UTF-8 with byte order mark; separated by commas with Windows line ends; 2 columns, 1 row", "Zoë"},
		"quoted header behind a byte order mark": {
			bom + "\"account_id\",\"name\"\n1,A\n",
			dialect{Encoding: csvfile.UTF8, BOM: true, Separator: ",", LineEnding: "lf", Rows: 1}, "", "A"},
		"semicolons": {
			"account_id;name\n1;A,B\n",
			dialect{Encoding: csvfile.UTF8, Separator: ";", LineEnding: "lf", Rows: 1}, "", "A,B"},
		"bars": {
			"account_id|name\n1|A,B;C\n",
			dialect{Encoding: csvfile.UTF8, Separator: "|", LineEnding: "lf", Rows: 1}, "", "A,B;C"},
		"tabs": {
			"account_id\tname\n1\tA\n",
			dialect{Encoding: csvfile.UTF8, Separator: "\t", LineEnding: "lf", Rows: 1}, "", "A"},
		"separators that are more in a key": {
			"account_id;name;custom_label_dimensions.a,b,c,d,e\n1;A;x\n",
			dialect{Encoding: csvfile.UTF8, Separator: ";", LineEnding: "lf", Rows: 1}, "", "A"},
		"the separator named": {
			"sep=;\r\naccount_id;name\r\n1;A\r\n",
			dialect{Encoding: csvfile.UTF8, Separator: ";", SepLine: true, LineEnding: "crlf", Rows: 1}, "", "A"},
		"the separator named as a cell": {
			bom + "\"SEP=;\";\r\naccount_id;name\r\n1;A\r\n",
			dialect{Encoding: csvfile.UTF8, BOM: true, Separator: ";", SepLine: true, LineEnding: "crlf", Rows: 1}, "", "A"},
		"old Macintosh": {
			"account_id,name\r1,\"A\rB\"\r2,C\r",
			dialect{Encoding: csvfile.UTF8, Separator: ",", LineEnding: "cr", Rows: 2}, "", "C"},
		"old Macintosh with the separator named": {
			"sep=;\raccount_id;name\r2;C\r",
			dialect{Encoding: csvfile.UTF8, Separator: ";", SepLine: true, LineEnding: "cr", Rows: 1}, "", "C"},
		"Windows-1252": {
			"account_id;name\r\n1;Plain\r\n2;M\xfcller \x80\r\n",
			dialect{Encoding: csvfile.Windows1252, Separator: ";", LineEnding: "crlf", Rows: 2, Sample: "Müller €"},
			"Windows-1252 (Western European), since it is not valid UTF-8; separated by semicolons with Windows line ends; 2 columns, 2 rows", "Müller €"},
		"Windows-1252 far behind the beginning": {
			"account_id;name\r\n1;" + long + "\r\n2;M\xfcller\r\n",
			dialect{Encoding: csvfile.Windows1252, Separator: ";", LineEnding: "crlf", Rows: 2, Sample: "Müller"}, "", "Müller"},
		"Windows-1252 that ends in the middle of a character of UTF-8": {
			"account_id;name\r\n1;Caf\xe9",
			dialect{Encoding: csvfile.Windows1252, Separator: ";", LineEnding: "crlf", Rows: 1, Sample: "Café"}, "", "Café"},
		"UTF-16": {
			utf16(t, unicode.LittleEndian, unicode.UseBOM, "account_id\tname\r\n1\tŽofie 😀\r\n"),
			dialect{Encoding: csvfile.UTF16LE, BOM: true, Separator: "\t", LineEnding: "crlf", Rows: 1, Sample: "Žofie 😀"},
			"UTF-16 (little-endian) with byte order mark; separated by tabs with Windows line ends; 2 columns, 1 row", "Žofie 😀"},
		"UTF-16, big-endian": {
			utf16(t, unicode.BigEndian, unicode.UseBOM, "account_id,name\n1,A\n"),
			dialect{Encoding: csvfile.UTF16BE, BOM: true, Separator: ",", LineEnding: "lf", Rows: 1}, "", "A"},
		"UTF-16 without a mark": {
			utf16(t, unicode.LittleEndian, unicode.IgnoreBOM, "account_id,name\n1,A\n"),
			dialect{Encoding: csvfile.UTF16LE, Separator: ",", LineEnding: "lf", Rows: 1}, "", "A"},
		"UTF-16, big-endian, without a mark": {
			utf16(t, unicode.BigEndian, unicode.IgnoreBOM, "sep=|\r\naccount_id|name\r\n1|A\r\n"),
			dialect{Encoding: csvfile.UTF16BE, Separator: "|", SepLine: true, LineEnding: "crlf", Rows: 1}, "", "A"},
		"blank rows, comments, what spreadsheets leave behind": {
			"\r\n# a comment, with a quote: 5'\r\n;;;\r\naccount_id;name;;\r\n;;\r\n   ;\r\n1;A;;\r\n#;x\r\n\"# also\";\r\n2;B;;;;\r\n3\r\n#4;D\r\n\r\n",
			dialect{Encoding: csvfile.UTF8, Separator: ";", LineEnding: "crlf", Rows: 4, Comments: 3},
			"UTF-8; separated by semicolons with Windows line ends; 4 columns, 4 rows (and 3 comments that are ignored)", "D"},
		"a header in another spelling": {
			" Account ID ,NAME,Billing-Street\n1,A,\n",
			dialect{Encoding: csvfile.UTF8, Separator: ",", LineEnding: "lf", Rows: 1}, "", "A"},
		"one column": {
			"account_id\n1\n",
			dialect{Encoding: csvfile.UTF8, Separator: ",", LineEnding: "lf", Rows: 1}, "UTF-8; separated by commas with Unix line ends; 1 column, 1 row", ""},
	} {
		file := []byte(c.file)
		d, rows := readAll(t, accounts.Family, file)
		got := *d
		got.Header, got.Bytes = nil, 0
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, c.want)
		}
		if c.words != "" && d.Words() != c.words {
			t.Errorf("%s: %q", name, d.Words())
		}
		var last struct{ Name string }
		row := rows[len(rows)-1]
		if err := json.Unmarshal(row.Record, &last); err != nil || last.Name != c.name || row.Failure != nil {
			t.Errorf("%s: the last record is %s, %v, %+v", name, row.Record, err, row.Failure)
		}
	}
}

func TestADialectIsKeptAsJSON(t *testing.T) {
	file := []byte(western(t, "sep=;\r\naccount_id;name;custom_label_dimensions.Größe\r\n1;Zoë;groß\r\n"))
	d := inspect(t, accounts.Family, file)
	kept, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back csvfile.Dialect
	if err := json.Unmarshal(kept, &back); err != nil || !reflect.DeepEqual(&back, d) {
		t.Fatalf("%s comes back as %+v, %v", kept, back, err)
	}
	r, err := csvfile.NewReader(bytes.NewReader(file), &back, accounts.Family, csvfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	row, err := r.Next()
	if want := `{"account_id":"1","name":"Zoë","custom_label_dimensions":[{"key":"Größe","value":"groß"}]}`; err != nil || string(row.Record) != want {
		t.Errorf("%s, %v; want %s", row.Record, err, want)
	}
}

func TestWhatCannotBeUploadedIsRefusedInPlainWords(t *testing.T) {
	const header = "account_id,name\n"
	huge := strings.Repeat("0123456789", 1_000_000)
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf("nonsense%d", i)
	}
	for name, c := range map[string]struct {
		family *resource.Family
		file   string
		code   core.Code
		field  string
		words  []string
	}{
		"nothing":              {nil, "", core.Malformed, "", []string{"empty"}},
		"a mark alone":         {nil, bom, core.Malformed, "", []string{"empty"}},
		"blank lines":          {nil, "\r\n \r\n", core.Malformed, "", []string{"empty"}},
		"separators alone":     {nil, ",,,\n,,\n", core.Malformed, "", []string{"names the columns"}},
		"comments alone":       {nil, "# nothing\n# at all\n", core.Malformed, "", []string{"no header"}},
		"the separator alone":  {nil, "sep=;\n", core.Malformed, "", []string{"no header"}},
		"no rows":              {nil, header, core.Malformed, "", []string{"no rows"}},
		"no header":            {nil, "1,Acme\n2,Umbrella\n", core.Malformed, "", []string{"names the columns", "'account_id'", "'1 Acme'"}},
		"a workbook":           {nil, "PK\x03\x04\x14\x00\x06\x00", core.Malformed, "", []string{"spreadsheet", "save the sheet as CSV"}},
		"an old workbook":      {nil, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", core.Malformed, "", []string{".xls", "save the sheet as CSV"}},
		"compressed":           {nil, "\x1f\x8b\x08\x00", core.Malformed, "", []string{"gzip", "Unpack"}},
		"a document":           {nil, "%PDF-1.7\n", core.Malformed, "", []string{"PDF"}},
		"a web page":           {nil, "\n<!DOCTYPE html><html>", core.Malformed, "", []string{"web page"}},
		"a web page in UTF-16": {nil, utf16(t, unicode.LittleEndian, unicode.UseBOM, "<html>"), core.Malformed, "", []string{"web page"}},
		"JSON":                 {nil, bom + `{"records":[]}`, core.Malformed, "", []string{"JSON"}},
		"a JSON array":         {nil, ` [{"account_id":1}]`, core.Malformed, "", []string{"JSON"}},
		"binary":               {nil, "\x7fELF\x02\x01\x01\x00\x00", core.Malformed, "", []string{"NUL", "no text"}},
		"NUL":                  {nil, header + "1,A\n2,B\x00C\n", core.Malformed, "", []string{"Line 3", "NUL"}},
		"NUL below a line that names the separator": {nil, "sep=,\n" + header + "1,A\n2,B\x00C\n", core.Malformed, "", []string{"Line 4", "NUL"}},
		"NUL in UTF-16":                         {nil, utf16(t, unicode.LittleEndian, unicode.UseBOM, header+"1,A\x00\n"), core.Malformed, "", []string{"Line 2", "NUL"}},
		"half a character":                      {nil, utf16(t, unicode.LittleEndian, unicode.UseBOM, header+"1,A\n") + "1", core.Malformed, "", []string{"UTF-16", "cut off"}},
		"too large":                             {nil, header + strings.Repeat("1,A\n", 30_000), core.TooLarge, "", []string{"larger than 100000 bytes"}},
		"mixed encodings":                       {nil, header + "1,Zoë Müller\n2,Zo\xeb\n", core.Malformed, "", []string{"UTF-8", "line 3"}},
		"a mark that lies":                      {nil, bom + header + "1,A\n2,Zo\xeb\n", core.Malformed, "", []string{"UTF-8", "line 3"}},
		"cut off":                               {nil, bom + header + "1,A\n2,Zo\xc3", core.Malformed, "", []string{"UTF-8", "line 3", "cut off"}},
		"another encoding":                      {nil, header + "1,\x81\x8d\n", core.Malformed, "", []string{"line 2", "neither UTF-8 nor UTF-16 nor Windows-1252"}},
		"an odd separator":                      {nil, "sep=:\naccount_id:name\n1:A\n", core.Malformed, "", []string{"':'"}},
		"an open quote":                         {nil, header + "1,A\n2,\"B\n3,C\n4,D", core.Malformed, "", []string{"line 3", "quotation mark"}},
		"an open quote behind others":           {nil, "sep=,\n" + header + "\"1\n2\",\"B\n3,C\n", core.Malformed, "", []string{"line 4", "quotation mark"}},
		"a quote that is not doubled":           {nil, header + "1,A\n2,\"B \"or\" C\"\n", core.Malformed, "", []string{"line 3", "doubled"}},
		"an open quote that a later one closes": {nil, header + "1,\"A\n2,B\n3,\"C\"\n", core.Malformed, "", []string{"begins in line 2", "noticed in line 4"}},
		"a quote within":                        {nil, header + "1,5\" pipe\n", core.Malformed, "", []string{"Line 2", "quotation mark"}},
		"an endless row":                        {nil, header + "1,A\n2,\"" + huge, core.Malformed, "", []string{"line 3", "8 MB", "quotation mark may be missing"}},
		"too many cells":                        {nil, header + "1,A\n2,B,C\n", core.Malformed, "", []string{"line 3", "more cells than the header, which has 2"}},
		"a cell without a column":               {nil, "account_id,,name\n1,,A\n2,x,B\n", core.Malformed, "", []string{"Line 3", "'x'", "column 2"}},
		"a column twice":                        {nil, "account_id,name,name\n1,A,B\n", core.Conflicting, "name", []string{"'name' stands twice"}},
		"a column twice in two spellings":       {nil, "account_id,name,NAME\n1,A,B\n", core.Conflicting, "name", []string{"as 'name' and as 'NAME'"}},
		"a dimension twice":                     {nil, "account_id,custom_label_dimensions.a,Custom_Label_Dimensions.a\n1,A,B\n", core.Conflicting, "custom_label_dimensions.a", []string{"twice"}},
		"a dimension twice but for a space":     {nil, "account_id,custom_label_dimensions.a,custom_label_dimensions. a\n1,A,B\n", core.Conflicting, "custom_label_dimensions.a", []string{"twice"}},
		"an entry twice":                        {nil, "account_id,documents[1].name,Documents[1].name\n1,A,B\n", core.Conflicting, "documents[1].name", []string{"twice"}},
		"unknown": {nil, "account_id,nmae,emploees,shoe size\n1,A,2,3\n", core.UnknownField, "nmae",
			[]string{"'nmae' is not a known column (did you mean 'name'?)", "'emploees' is not a known column (did you mean 'employees'?)", "'shoe size' is not a known column"}},
		"only misspelt":             {nil, "acount_id,nmae\n1,A\n", core.UnknownField, "acount_id", []string{"(did you mean 'account_id'?)"}},
		"a list as such":            {nil, "account_id,documents\n1,A\n", core.UnknownField, "documents", []string{"(did you mean 'documents[1].name'?)"}},
		"an entry without a number": {nil, "account_id,documents.url\n1,A\n", core.UnknownField, "documents.url", []string{"(did you mean 'documents[1].url'?)"}},
		"a misspelt entry":          {nil, "account_id,document[2].ulr\n1,A\n", core.UnknownField, "document[2].ulr", []string{"(did you mean 'documents[2].url'?)"}},
		"a misspelt dimension": {nil, "account_id,custom_lable_dimensions.Favorite Fruit\n1,A\n", core.UnknownField, "custom_lable_dimensions.Favorite Fruit",
			[]string{"(did you mean 'custom_label_dimensions.Favorite Fruit'?)"}},
		"a dimension without a key": {nil, "account_id,custom_label_dimensions.\n1,A\n", core.TooLong, "custom_label_dimensions.", []string{"1 to 256 characters"}},
		"entry 0":                   {nil, "account_id,documents[0].url\n1,A\n", core.UnknownField, "documents[0].url", []string{"'documents[1].url'"}},
		"many unknown":              {nil, "account_id," + strings.Join(many, ",") + "\n1\n", core.UnknownField, "nonsense0", []string{"'nonsense9'", "and 20 more"}},
		"computed":                  {nil, "account_id,current_mrr\n1,5\n", core.ReadOnly, "current_mrr", []string{"computed"}},
		"internal":                  {nil, "account_id,revenue_schedule[1].from\n1,5\n", core.ReadOnly, "revenue_schedule[1].from", []string{"computed"}},
		"no id":                     {nil, "name\nA\n", core.MissingField, "account_id", []string{"must have a column 'account_id'"}},
		"no points":                 {metrics.Family, "account_id,name\n1,A\n", core.MissingField, "metrics[1].timestamp", []string{"'metrics[1].timestamp'"}},
		"no event":                  {subscriptions.Family, "account_id,subscription_id\n1,A\n", core.MissingField, "event", []string{"'event'"}},
	} {
		f := c.family
		if f == nil {
			f = accounts.Family
		}
		limit := int64(0)
		if name == "too large" {
			limit = 100_000
		}
		_, err := csvfile.Inspect(strings.NewReader(c.file), f, limit)
		var failure *core.Failure
		if !errors.As(err, &failure) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if failure.Code != c.code || failure.Field != c.field {
			t.Errorf("%s: %+v, want %s of '%s'", name, failure, c.code, c.field)
		}
		for _, w := range c.words {
			if !strings.Contains(failure.Message, w) {
				t.Errorf("%s: %q does not say %q", name, failure.Message, w)
			}
		}
		if len(failure.Message) > 1200 {
			t.Errorf("%s: the message has %d characters", name, len(failure.Message))
		}
	}
}

func TestAFileOfTheLargestSizeIsAccepted(t *testing.T) {
	file := "account_id\n1\n"
	if _, err := csvfile.Inspect(strings.NewReader(file), accounts.Family, int64(len(file))); err != nil {
		t.Error(err)
	}
	if _, err := csvfile.Inspect(strings.NewReader(file), accounts.Family, int64(len(file))-1); err == nil {
		t.Error("a larger one is too")
	}
}

func TestTroubleOfTheStoreIsNoFailureOfTheFile(t *testing.T) {
	trouble := errors.New("the disk is on fire")
	for _, text := range []string{"", "acc", "account_id,name\n1,\"A", "account_id,name\n1,A\n" + strings.Repeat("2,B\n", 50_000)} {
		_, err := csvfile.Inspect(io.MultiReader(strings.NewReader(text), iotest.ErrReader(trouble)), accounts.Family, 0)
		var failure *core.Failure
		if !errors.Is(err, trouble) || errors.As(err, &failure) {
			t.Errorf("behind %d bytes: %v", len(text), err)
		}
	}
}

func TestItDoesNotMatterInWhatPiecesAFileArrives(t *testing.T) {
	text := "account_id,name\r\n1,\"Žofie \"\"x\"\"\r\n😀\"\r\n2,é\r\n"
	for _, file := range []string{text, bom + text, utf16(t, unicode.BigEndian, unicode.UseBOM, text), western(t, "account_id\r\né\r\n")} {
		want := inspect(t, accounts.Family, []byte(file))
		for name, slow := range map[string]io.Reader{
			"byte by byte": iotest.OneByteReader(strings.NewReader(file)),
			"half of it":   iotest.HalfReader(strings.NewReader(file)),
			"with its end": iotest.DataErrReader(strings.NewReader(file)),
		} {
			got, err := csvfile.Inspect(slow, accounts.Family, 0)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
			}
		}
	}
	// Characters that lie across the pieces in which a file is read.
	for shift := range 4 {
		file := "account_id,name\n" + strings.Repeat("x", shift) + strings.Repeat("é😀", 50_000) + ",A\n"
		if d := inspect(t, accounts.Family, []byte(file)); d.Encoding != csvfile.UTF8 {
			t.Errorf("shifted by %d: %s", shift, d.Encoding)
		}
	}
}

func TestAnotherFileThanTheOneInspectedIsRefused(t *testing.T) {
	d := inspect(t, accounts.Family, []byte("account_id,name\n1,A\n"))
	for _, other := range []string{"", "account_id\n1\n", "name,account_id\nA,1\n", "# nothing\n"} {
		_, err := csvfile.NewReader(strings.NewReader(other), d, accounts.Family, csvfile.Options{})
		var failure *core.Failure
		if !errors.As(err, &failure) || failure.Code != core.Malformed {
			t.Errorf("%q: %v", other, err)
		}
	}
	if _, err := csvfile.NewReader(strings.NewReader("account_id,name\n1,A\n"), d, tickets.Family, csvfile.Options{}); err == nil {
		t.Error("the file of another family is read")
	}
	r, err := csvfile.NewReader(strings.NewReader("account_id,name\n1,\"A\n"), d, accounts.Family, csvfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var failure *core.Failure
	if _, err := r.Next(); !errors.As(err, &failure) {
		t.Errorf("a row that cannot be read: %v", err)
	}
}

func TestTextThatIsNotInTheEncodingFoundStaysReadable(t *testing.T) {
	d := inspect(t, accounts.Family, []byte("account_id,name\n1,A\n"))
	r, err := csvfile.NewReader(strings.NewReader("account_id,name\n1,A\xff\n"), d, accounts.Family, csvfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	row, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if checkRecord(t, accounts.Family, row); string(row.Record) != "{\"account_id\":\"1\",\"name\":\"A\ufffd\"}" {
		t.Errorf("%s", row.Record)
	}
}

func TestAResumedJobGoesOnBehindTheRowsItHasDone(t *testing.T) {
	file := []byte("account_id,name\n# c\n1,\"A\nB\"\n\n2,B\n3,C\n")
	d := inspect(t, accounts.Family, file)
	r, err := csvfile.NewReader(bytes.NewReader(file), d, accounts.Family, csvfile.Options{After: 1})
	if err != nil {
		t.Fatal(err)
	}
	row, err := r.Next()
	if err != nil || row.Number != 2 || row.Line != 6 || string(row.Record) != `{"account_id":"2","name":"B"}` {
		t.Errorf("%+v, %v", row, err)
	}
}

// The files are byte for byte as Excel writes them: "CSV (MS-DOS/Windows)" where
// the list separator is a semicolon, "Unicode Text", and "CSV UTF-8".
func TestFilesAreReadAsExcelWritesThem(t *testing.T) {
	const note = "Sagt: \"prima\"\nund bleibt;"
	want := []string{
		`{"external_id":"007","account_id":"acme-42","create_time":1709251200000,"subject":"Müller & Söhne","note":"Sagt: \"prima\"\nund bleibt;"}`,
		`{"external_id":"008","account_id":"acme-42","create_time":1709287200000,"subject":"€ 5, bar","is_html":true}`,
	}
	quote := func(separator string) string {
		rows := [][]string{
			{"external_id", "account_id", "create_time", "subject", "note", "is_html"},
			{"007", "acme-42", "2024-03-01", "Müller & Söhne", note, ""},
			{"008", "acme-42", "2024-03-01 10:00", "€ 5, bar", "", "TRUE"},
		}
		var b strings.Builder
		for _, row := range rows {
			for i, cell := range row {
				if i > 0 {
					b.WriteString(separator)
				}
				if strings.ContainsAny(cell, separator+",\"\n") && (separator != ";" || strings.ContainsAny(cell, ";\"\n")) {
					cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
				}
				b.WriteString(cell)
			}
			b.WriteString("\r\n")
		}
		return b.String()
	}
	for encoding, file := range map[csvfile.Encoding]string{
		csvfile.Windows1252: western(t, quote(";")),
		csvfile.UTF16LE:     utf16(t, unicode.LittleEndian, unicode.UseBOM, quote("\t")),
		csvfile.UTF8:        bom + quote(","),
	} {
		d, rows := readAll(t, conversations.Notes, []byte(file))
		if d.Encoding != encoding || len(rows) != len(want) {
			t.Fatalf("%s: %+v", encoding, d)
		}
		for i, row := range rows {
			if string(row.Record) != want[i] || row.Failure != nil {
				t.Errorf("%s: %s, %v\nwant %s", encoding, row.Record, row.Failure, want[i])
			}
		}
	}
}

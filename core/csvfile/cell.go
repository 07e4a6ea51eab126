package csvfile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tenure/core"
	"tenure/core/schema"
)

// null is the cell that clears a field.
const null = `\N`

// escapedNull is a cell that means null with one backslash less.
var escapedNull = regexp.MustCompile(`^\s*\\{2,}N\s*$`)

// errorValues are what spreadsheets write for a formula that failed, in the
// languages in which they differ from English.
var errorValues = []string{
	"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!",
	"#CONNECT!", "#BUSY!", "#UNKNOWN!", "#GETTING_DATA",
	"#NV", "#BEZUG!", "#WERT!", "#ZAHL!", // German
	"#VALEUR!", "#NOM?", "#NOMBRE!", "#NUL!", // French
	"#VALOR!", "#¿NOMBRE?", "#¡VALOR!", "#¡REF!", "#¡NUM!", "#¡DIV/0!", "#¡NULO!", "#NOME?", "#NÚM!", "#NULO!", // Spanish, Portuguese
	"#VALORE!", "#RIF!", // Italian
}

// destroyedID is what a spreadsheet leaves of a long number that is an id.
var destroyedID = regexp.MustCompile(`^[+-]?[0-9]([.,][0-9]+)?E\+[0-9]{2,}$`)

// appendCell appends what a cell of column c says as JSON. given is false when
// the cell is empty.
func appendCell(dst []byte, c *column, cell string) (_ []byte, given bool, failure *core.Failure) {
	text := Restore(cell)
	trimmed := strings.TrimSpace(text)
	switch {
	case trimmed == "":
		return dst, false, nil
	case trimmed == null:
		return append(dst, schema.Null...), true, nil
	case trimmed[0] == '#' && (slices.Contains(errorValues, trimmed) || len(trimmed) > 2 && strings.Trim(trimmed, "#") == ""):
		return dst, false, c.refuse(core.WrongType, "is the error %s of a spreadsheet: put the value itself into the cell", trimmed)
	}
	var refusal string
	switch typ := c.decl.Type; typ {
	case schema.Boolean:
		dst, refusal = appendBoolean(dst, trimmed)
	case schema.Time:
		dst, refusal = appendTime(dst, trimmed)
	case schema.Integer, schema.Long, schema.Double:
		dst, refusal = appendNumber(dst, c.decl, trimmed)
	default:
		if typ == schema.ID && destroyedID.MatchString(trimmed) {
			return dst, false, c.refuse(core.WrongType, "is '%s', which is what a spreadsheet left of a long number: "+
				"enter it again in a column that is formatted as text", trimmed)
		}
		if escapedNull.MatchString(text) {
			text = strings.Replace(text, `\`, "", 1)
		}
		dst = schema.AppendString(dst, text)
	}
	if refusal != "" {
		return dst, false, c.refuse(core.WrongType, "%s, not '%s'", refusal, short(trimmed))
	}
	return dst, true, nil
}

// refuse returns a failure that begins with the name of the column.
func (c *column) refuse(code core.Code, format string, args ...any) *core.Failure {
	return &core.Failure{Code: code, Field: c.name, Message: fmt.Sprintf("'%s' ", c.name) + fmt.Sprintf(format, args...)}
}

// short returns the beginning of a text, for messages.
func short(text string) string {
	const most = 60
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}

func appendBoolean(dst []byte, text string) (_ []byte, refusal string) {
	switch strings.ToLower(text) {
	case "true", "yes", "1":
		return append(dst, "true"...), ""
	case "false", "no", "0":
		return append(dst, "false"...), ""
	}
	return dst, "must be TRUE or FALSE (or yes or no, 1 or 0)"
}

var (
	// plainNumber is a number as cells have it.
	plainNumber = regexp.MustCompile(`^([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]+))?$`)
	// groupedNumber is one with thousands separators or a decimal comma.
	groupedNumber = regexp.MustCompile(`^[+-]?[0-9][0-9.,'’\s]*$`)
	// thousands is a whole number that has a decimal point, or a thousands
	// separator.
	thousands = regexp.MustCompile(`^[+-]?[0-9]{1,3}\.000$`)
)

// lostDigits is the exponent from which on spreadsheets round long numbers.
const lostDigits = 11

func appendNumber(dst []byte, f *schema.Field, text string) (_ []byte, refusal string) {
	if allDigits(text) {
		return append(dst, text...), ""
	}
	whole := f.Type != schema.Double
	parts := plainNumber.FindStringSubmatch(text)
	switch {
	case parts != nil:
	case strings.ContainsAny(text, "$€£¥₹"):
		return dst, "must be the number alone, without a currency sign" + unit(f)
	case strings.Contains(text, "%"):
		return dst, "must be the number alone, without a percent sign"
	case strings.HasPrefix(text, "(") && strings.HasSuffix(text, ")"):
		return dst, "must have a minus sign if it is negative"
	case groupedNumber.MatchString(text) && whole:
		return dst, "must be a whole number without thousands separators, such as 1234" + unit(f)
	case groupedNumber.MatchString(text):
		return dst, "must have a decimal point and no thousands separators, such as 1234.5"
	default:
		return dst, "must be a number" + unit(f)
	}
	start := len(dst)
	if dst = appendLiteral(dst, parts); !whole {
		return dst, ""
	}
	switch _, isWhole, _ := schema.ParseWhole(dst[start:]); {
	case thousands.MatchString(text):
		return dst[:start], "must be a whole number without a decimal point or thousands separators" + unit(f)
	case !isWhole:
		return dst[:start], "must be a whole number" + unit(f)
	}
	if exponent, err := strconv.Atoi(parts[3]); parts[3] != "" && (err != nil || exponent >= lostDigits) {
		return dst[:start], "must be a whole number with all its digits: format the column as a number without decimals"
	}
	return dst, ""
}

// allDigits reports whether a cell is nothing but digits, and as such a number
// of JSON: most numbers are, and need no closer look.
func allDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text[0] != '0' || len(text) == 1
}

// appendLiteral appends a number, matched by plainNumber, as JSON has it.
func appendLiteral(dst []byte, parts []string) []byte {
	if parts[1] == "-" {
		dst = append(dst, '-')
	}
	before, after, _ := strings.Cut(parts[2], ".")
	if before = strings.TrimLeft(before, "0"); before == "" {
		before = "0"
	}
	dst = append(dst, before...)
	if after != "" {
		dst = append(append(dst, '.'), after...)
	}
	if parts[3] != "" {
		dst = append(append(dst, 'e'), parts[3]...)
	}
	return dst
}

// unit says what a number counts, in the words of its declaration: amounts are
// in cents.
func unit(f *schema.Field) string { return fmt.Sprintf(" (%s)", f.Doc) }

// offset is the end of an instant that says how far it is from UTC.
var offset = regexp.MustCompile(`\s*(Z|z|UTC|GMT|[+-][0-9]{2}(:?[0-9]{2})?)$`)

// otherDate is a date in an order that differs from country to country.
var otherDate = regexp.MustCompile(`^[0-9]{1,4}[/.\-\s][0-9A-Za-zÀ-ÿ]{1,9}[/.\-\s,]+[0-9]{1,4}`)

const forms = "epoch milliseconds or a date such as 2024-03-01, 2024-03-01 10:00 or 2024-03-01T10:00:00Z"

// leastMillis is the smallest number that is taken for epoch ms: below it lie
// the first months of 1970, but also the present in seconds, and the days that
// spreadsheets count.
const leastMillis = 10_000_000_000

func appendTime(dst []byte, text string) (_ []byte, refusal string) {
	if len(text) >= len("10000000000") && allDigits(text) {
		return append(dst, text...), "" // epoch ms, as leastMillis says
	}
	parts := plainNumber.FindStringSubmatch(text)
	switch {
	case isISO(text):
		at, err := parseInstant(text)
		if err != nil {
			return dst, "must be an existing " + forms[len("epoch milliseconds or a "):]
		}
		return strconv.AppendInt(dst, at.UnixMilli(), 10), ""
	case parts != nil:
	case otherDate.MatchString(text):
		return dst, "must be " + forms + " (in a spreadsheet, format the column as yyyy-mm-dd)"
	default:
		return dst, "must be " + forms
	}
	literal := appendLiteral(nil, parts)
	n, whole, fits := schema.ParseWhole(literal)
	switch {
	case strings.ContainsAny(text, "eE"):
		return dst, "must be " + forms + " with all its digits: format the column as a number without decimals"
	case whole && fits && n != 0 && n > -leastMillis && n < leastMillis:
		return dst, "must be " + forms + "; seconds and a spreadsheet's day numbers are none"
	}
	return append(dst, literal...), ""
}

// isISO reports whether a cell begins with an ISO 8601 date.
func isISO(text string) bool {
	const date = "2006-01-02"
	if len(text) < len(date) || len(text) > len(date) && !strings.ContainsRune("Tt ", rune(text[len(date)])) {
		return false
	}
	for i := range len(date) {
		if isDigit := text[i] >= '0' && text[i] <= '9'; isDigit == (date[i] == '-') || !isDigit && text[i] != '-' {
			return false
		}
	}
	return true
}

// parseInstant reads an instant for which isISO holds.
func parseInstant(text string) (time.Time, error) {
	date, clock := text[:len(time.DateOnly)], ""
	if len(text) > len(date) {
		clock = text[len(date)+1:]
	}
	if clock == "" {
		return time.Parse(time.DateOnly, date)
	}
	zone := ""
	if utc, ok := strings.CutSuffix(clock, "Z"); ok {
		clock = strings.TrimSpace(utc)
	} else if at := offset.FindStringIndex(clock); at != nil {
		clock, zone = clock[:at[0]], strings.TrimSpace(clock[at[0]:])
	}
	shift, err := parseOffset(zone)
	if err != nil {
		return time.Time{}, err
	}
	form := time.DateTime
	if len(clock) <= len("15:04") {
		form = "2006-01-02 15:04"
	}
	at, err := time.Parse(form, date+" "+clock)
	return at.Add(-shift), err
}

// parseOffset reads how far an instant is from UTC.
func parseOffset(zone string) (time.Duration, error) {
	switch zone {
	case "", "z", "UTC", "GMT":
		return 0, nil
	}
	digits := strings.ReplaceAll(zone[1:], ":", "")
	hours, _ := strconv.Atoi(digits[:2]) // digits, says offset
	minutes, _ := strconv.Atoi("0" + digits[2:])
	if hours > 23 || minutes > 59 {
		return 0, fmt.Errorf("no such offset: %s", zone)
	}
	shift := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if zone[0] == '-' {
		shift = -shift
	}
	return shift, nil
}

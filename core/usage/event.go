package usage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tenure/core"
	"tenure/core/schema"
)

// The actions that mean something here (contract E4). Others are counted by name.
const (
	IdentifyUser    = "identifyUser"
	IdentifyAccount = "identifyAccount"
	SessionSync     = "sessionSync"
	SessionIdle     = "sessionIdle"
	ModuleEnd       = "moduleEnd"
	PageViewEnd     = "pageViewEnd"
	Feature         = "feature"
)

// Event is one usage event (contract E3).
type Event struct {
	Action string
	// AccountID is empty where the event does not say: then it is that of the user.
	AccountID string
	// UserID is empty where nobody in particular did it.
	UserID string
	// CreatedAt is when it happened, in epoch ms.
	CreatedAt int64
	SessionID string
	// ActiveDuration is for how long the user was active since the event of the
	// session before this one, TimeSpent for how long they were in the module, in ms.
	ActiveDuration, TimeSpent int64
	Module, Feature, Product  string
	// Total is how often the feature was used, in millionths; 1 unless the event says.
	Total int64
	// Details are what identifies a user or account: an object, nil if not given.
	Details []byte

	// digest tells the event from all others of its user and day.
	digest uint64
	// text is the event as it came: a JSON object.
	text []byte
	// from names the item of the log that has it.
	from string
}

// member is a member of an event, by its name in snake_case.
type member struct {
	name  string
	value []byte
}

// Parse reads one event: a JSON object, or text of a form in its place (contract
// E2). A *core.Failure names the field that cannot be. now is in epoch ms.
func Parse(text []byte, now int64) (*Event, *core.Failure) {
	text = bytes.TrimSpace(text)
	switch schema.Kind(text) {
	case '[':
		return nil, refuse(core.Malformed, "", "An event must be a JSON object: send several one a line, not as an array")
	case '{':
		if err := schema.Valid(text); err != nil {
			return nil, refuse(core.Malformed, "", "The event is not valid JSON: "+strings.TrimPrefix(err.Error(), "jsontext: "))
		}
	default:
		var failure *core.Failure
		if text, failure = formObject(text); failure != nil {
			return nil, failure
		}
	}
	if len(text) > maxEvent {
		return nil, refuse(core.TooLarge, "", fmt.Sprintf("The event has %d bytes, more than %d", len(text), maxEvent))
	}
	e := &Event{text: oneLine(text), Total: -1}
	var members []member
	for name, value := range schema.Members(text) {
		members = append(members, member{snakeCase(schema.Value(name).Text()), value})
	}
	for i := range members {
		if failure := e.set(&members[i]); failure != nil {
			return nil, failure
		}
	}
	switch {
	case e.Action == "":
		return nil, missing("action")
	case e.CreatedAt == 0:
		return nil, missing("created_at")
	case e.UserID == "" && (e.AccountID == "" || e.Action == IdentifyUser):
		return nil, missing("user_id")
	case e.AccountID == "" && e.Action == IdentifyAccount:
		return nil, missing("account_id")
	case e.Feature == "" && e.Action == Feature:
		return nil, missing("feature")
	case e.Module == "" && e.Action == ModuleEnd:
		return nil, missing("module")
	case now-e.CreatedAt > Window.Milliseconds():
		return nil, refuse(core.OutOfRange, "created_at", "'created_at' is more than a year ago")
	case e.CreatedAt-now > ahead.Milliseconds():
		return nil, refuse(core.OutOfRange, "created_at", "'created_at' is in the future: it must be in milliseconds since 1970, and the clock right")
	}
	if e.Total < 0 {
		e.Total = million
	}
	e.digest = digestOf(members)
	return e, nil
}

func missing(field string) *core.Failure {
	return refuse(core.MissingField, field, "Missing required field: '"+field+"'")
}

// set takes over a member.
func (e *Event) set(m *member) (failure *core.Failure) {
	switch m.name {
	case "action":
		e.Action, failure = textOf(m)
	case "account_id":
		e.AccountID, failure = textOf(m)
	case "user_id":
		e.UserID, failure = textOf(m)
	case "session_id":
		e.SessionID, failure = textOf(m)
	case "module":
		e.Module, failure = textOf(m)
	case "feature":
		e.Feature, failure = textOf(m)
	case "product":
		e.Product, failure = textOf(m)
	case "created_at":
		var at float64
		if at, failure = numberOf(m, math.MaxInt64/2); failure == nil {
			e.CreatedAt = int64(at)
		}
	case "active_duration":
		e.ActiveDuration, failure = durationOf(m)
	case "time_spent":
		e.TimeSpent, failure = durationOf(m)
	case "total":
		var total float64
		if total, failure = numberOf(m, maxTotal); failure == nil && m.value != nil {
			e.Total = int64(math.Round(total * million))
		}
	case "details":
		switch schema.Kind(m.value) {
		case '{':
			e.Details = m.value
		case 'n':
		default:
			failure = refuse(core.WrongType, "details", "'details' value must be an object")
		}
	}
	return failure
}

// million is how many millionths a whole has.
const million = 1_000_000

// textOf returns a member's text; a number as it stands (contract P14). null and ""
// are as if it were not there.
func textOf(m *member) (string, *core.Failure) {
	var text string
	switch schema.Kind(m.value) {
	case 'n':
		m.value = nil
	case '"':
		text = schema.Value(m.value).Text()
	case '0':
		text = string(m.value)
	default:
		return "", refuse(core.WrongType, m.name, "'"+m.name+"' value must be a string")
	}
	if n := utf8.RuneCountInString(text); n > maxText {
		return "", refuse(core.TooLong, m.name, fmt.Sprintf("'%s' has %d characters, more than %d", m.name, n, maxText))
	}
	m.value = []byte(text) // so that 12 and "12" are the same
	return text, nil
}

// numberOf returns a member's number, which may be given as text. null and "" are as
// if it were not there.
func numberOf(m *member, most float64) (float64, *core.Failure) {
	literal := m.value
	switch schema.Kind(m.value) {
	case 'n':
		m.value = nil
		return 0, nil
	case '"':
		text := strings.TrimSpace(schema.Value(m.value).Text())
		if text == "" {
			m.value = nil
			return 0, nil
		}
		literal = []byte(text)
		if schema.Kind(literal) != '0' || schema.Valid(literal) != nil {
			return 0, refuse(core.WrongType, m.name, "'"+m.name+"' value must be a number")
		}
	case '0':
	default:
		return 0, refuse(core.WrongType, m.name, "'"+m.name+"' value must be a number")
	}
	n, err := strconv.ParseFloat(string(literal), 64)
	if err != nil || n < 0 || n > most {
		return 0, refuse(core.OutOfRange, m.name, fmt.Sprintf("'%s' value must be from 0 to %.0f", m.name, most))
	}
	m.value = strconv.AppendFloat(nil, n, 'g', -1, 64)
	return n, nil
}

func durationOf(m *member) (int64, *core.Failure) {
	n, failure := numberOf(m, float64(maxDuration))
	return int64(math.Round(n)), failure
}

// digestOf returns what tells an event from others: all that it says, however its
// fields are named and ordered (contract E6).
func digestOf(members []member) uint64 {
	slices.SortStableFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	buffer := make([]byte, 0, 512)
	for i, m := range members {
		// Of several with one name the last counts.
		if m.value == nil || i+1 < len(members) && members[i+1].name == m.name {
			continue
		}
		buffer = binary.AppendUvarint(buffer, uint64(len(m.name)))
		buffer = append(buffer, m.name...)
		buffer = binary.AppendUvarint(buffer, uint64(len(m.value)))
		buffer = append(buffer, m.value...)
	}
	sum := sha256.Sum256(buffer)
	return binary.BigEndian.Uint64(sum[:])
}

// snakeCase returns a name that may be in camelCase in snake_case.
func snakeCase(name string) string {
	at := strings.IndexFunc(name, func(c rune) bool { return c >= 'A' && c <= 'Z' })
	if at < 0 {
		return name
	}
	var b strings.Builder
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// formObject returns the text of a form, such as a=1&details%5Bemail%5D=x, as a JSON
// object.
func formObject(text []byte) ([]byte, *core.Failure) {
	malformed := refuse(core.Malformed, "", "An event must be a JSON object, or the text of a form")
	if !bytes.ContainsRune(text, '=') || !utf8.Valid(text) {
		return nil, malformed
	}
	type pair struct {
		path  []string
		value string
	}
	var pairs []pair
	for part := range strings.SplitSeq(string(text), "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, malformed
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, malformed
		}
		path := []string{name}
		if base, rest, nested := strings.Cut(name, "["); nested && strings.HasSuffix(rest, "]") {
			path = append([]string{base}, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
		}
		if len(path) > 8 || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, malformed
		}
		pairs = append(pairs, pair{path, value})
	}
	var object func(pairs []pair, depth int) []byte
	object = func(pairs []pair, depth int) []byte {
		out := []byte{'{'}
		for i, p := range pairs {
			name := p.path[depth]
			same := func(q pair) bool { return q.path[depth] == name }
			if slices.IndexFunc(pairs, same) != i {
				continue
			}
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(schema.AppendString(out, name), ':')
			var inner []pair
			for _, q := range pairs {
				if same(q) && len(q.path) > depth+1 {
					inner = append(inner, q)
				}
				if same(q) {
					p = q // the last counts
				}
			}
			if len(inner) > 0 {
				out = append(out, object(inner, depth+1)...)
			} else {
				out = schema.AppendString(out, p.value)
			}
		}
		return append(out, '}')
	}
	return object(pairs, 0), nil
}

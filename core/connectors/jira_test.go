package connectors

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tenure/core/mapping"
)

func TestAQueryOfJiraHasMinutesInTheUsersZone(t *testing.T) {
	for _, c := range []struct {
		at, zone, want string
	}{
		{"2025-01-31T14:05:59Z", "Etc/UTC", "2025/01/31 14:05"},
		{"2025-01-31T14:05:00Z", "America/New_York", "2025/01/31 09:05"},
		{"2025-07-31T20:00:00Z", "Asia/Kolkata", "2025/08/01 01:30"},
		{"2025-11-02T05:30:00Z", "America/New_York", "2025/11/02 01:30"}, // this half hour comes twice
		{"2025-11-02T06:30:00Z", "America/New_York", "2025/11/02 01:30"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		ms, _ := json.Marshal(at.UnixMilli())
		if got := jiraMinute([]any{json.Number(ms), c.zone}); got != c.want {
			t.Errorf("%s in %s: got %v, want %s", c.at, c.zone, got, c.want)
		}
	}
	for _, zone := range []any{"", "Moon/Base", nil} {
		if _, wrong := jiraMinute([]any{json.Number("0"), zone}).(error); !wrong {
			t.Errorf("the zone %v is taken", zone)
		}
	}
}

func TestAnAccountOfJiraIsReadFromEveryKindOfField(t *testing.T) {
	p, err := mapping.Compile(jiraAccount, &mapping.Env{}, "settings")
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]any{
		`"1042"`: "1042", `1042.0`: "1042", `{"id":"10","value":"1042"}`: "1042", `{"id":"10"}`: "10",
		`["1042"]`: "1042", `[{"id":"10","value":"1042"}]`: "1042",
		`["1042","1043"]`: nil, `[]`: nil, `null`: nil,
	} {
		var v any
		d := json.NewDecoder(strings.NewReader(`{"fields":{"customfield_1":` + field + `}}`))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		got, err := p.First(t.Context(), v, map[string]any{"account_field": "customfield_1"})
		var text any
		if id, ok := mapping.Text(got); ok {
			text = id
		}
		if err != nil || text != want {
			t.Errorf("%s: got %v, %v; want %v", field, got, err, want)
		}
	}
}

func TestTheTextOfADocumentOfJiraHasItsLines(t *testing.T) {
	p, err := mapping.Compile(jiraText+"flat", &mapping.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for document, want := range map[string]any{
		`null`: nil, `"*wiki*"`: "*wiki*", `{"type":"doc","content":[]}`: "",
		`{"type":"doc","version":1,"content":[
			{"type":"heading","attrs":{"level":1},"content":[{"type":"text","text":"Steps"}]},
			{"type":"paragraph","content":[{"type":"text","text":"Ask "},{"type":"mention","attrs":{"id":"1","text":"@Mia"}},{"type":"hardBreak"},{"type":"text","text":"now","marks":[{"type":"strong"}]}]},
			{"type":"bulletList","content":[
				{"type":"listItem","content":[{"type":"paragraph","content":[{"type":"text","text":"one"}]}]},
				{"type":"listItem","content":[{"type":"paragraph","content":[{"type":"inlineCard","attrs":{"url":"https://a.example/"}}]}]}]},
			{"type":"rule"},
			{"type":"codeBlock","attrs":{"language":"go"},"content":[{"type":"text","text":"a\nb"}]}]}`: "Steps\nAsk @Mia\nnow\none\nhttps://a.example/\n\na\nb",
	} {
		var v any
		if err := json.Unmarshal([]byte(document), &v); err != nil {
			t.Fatal(err)
		}
		if got, err := p.First(t.Context(), v); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", document, got, err, want)
		}
	}
}

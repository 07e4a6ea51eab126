package usage_test

import (
	"fmt"
	"strings"
	"testing"

	"tenure/core"
	"tenure/core/usage"
)

func TestEventsAreTakenAsClientsSendThem(t *testing.T) {
	now := at(0)
	for name, line := range map[string]string{
		"snake_case":     `{"action":"moduleEnd","account_id":"12","user_id":"u","created_at":%d,"session_id":"s","module":"m","time_spent":1500,"product":"p"}`,
		"camelCase":      `{"action":"moduleEnd","accountId":"12","userId":"u","createdAt":%d,"sessionId":"s","module":"m","timeSpent":1500,"product":"p"}`,
		"numbers":        `{"action":"moduleEnd","account_id":12,"user_id":"u","created_at":"%d","session_id":"s","module":"m","time_spent":"1500.2","product":"p"}`,
		"form":           `action=moduleEnd&account_id=12&user_id=u&created_at=%d&session_id=s&module=m&time_spent=1500&product=p`,
		"several lines":  "{\"action\":\"moduleEnd\",\n \"account_id\":\"12\",\"user_id\":\"u\",\r\n\"created_at\":%d,\"session_id\":\"s\",\"module\":\"m\",\"time_spent\":1500,\"product\":\"p\"}",
		"the last holds": `{"action":"x","action":"moduleEnd","account_id":"12","user_id":"u","created_at":%d,"session_id":"s","module":"m","time_spent":1500,"product":"p"}`,
	} {
		e, failure := usage.Parse([]byte(fmt.Sprintf(line, now)), now)
		if failure != nil {
			t.Errorf("%s: %v", name, failure)
			continue
		}
		if e.Action != "moduleEnd" || e.AccountID != "12" || e.UserID != "u" || e.CreatedAt != now || e.SessionID != "s" || e.Module != "m" || e.TimeSpent != 1500 || e.Product != "p" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	e, failure := usage.Parse([]byte(fmt.Sprintf("action=identifyUser&user_id=u&created_at=%d&details%%5Bemail%%5D=a%%40b.example&details[a][b]=1&details[a][c]=2", now)), now)
	if failure != nil || string(e.Details) != `{"email":"a@b.example","a":{"b":"1","c":"2"}}` {
		t.Errorf("%+v, %v", e, failure)
	}
}

func TestAnEventThatCannotBeIsRefusedByTheNameOfItsField(t *testing.T) {
	now := at(0)
	good := fmt.Sprintf(`"action":"x","account_id":"a","user_id":"u","created_at":%d`, now)
	for line, want := range map[string]struct {
		code  core.Code
		field string
	}{
		`{`:                            {core.Malformed, ""},
		`hello`:                        {core.Malformed, ""},
		`[{}]`:                         {core.Malformed, ""},
		`a=%zz`:                        {core.Malformed, ""},
		`{}`:                           {core.MissingField, "action"},
		`{"action":"x","user_id":"u"}`: {core.MissingField, "created_at"},
		`{"action":"x","user_id":"u","created_at":null}`:                                   {core.MissingField, "created_at"},
		fmt.Sprintf(`{"action":"x","created_at":%d}`, now):                                 {core.MissingField, "user_id"},
		fmt.Sprintf(`{"action":"x","user_id":"","created_at":%d}`, now):                    {core.MissingField, "user_id"},
		`{` + strings.Replace(good, `"x"`, `"identifyUser"`, 1) + `,"userId":""}`:          {core.MissingField, "user_id"},
		`{` + strings.Replace(good, `"x"`, `"identifyAccount"`, 1) + `,"account_id":null}`: {core.MissingField, "account_id"},
		`{` + strings.Replace(good, `"x"`, `"feature"`, 1) + `}`:                           {core.MissingField, "feature"},
		`{` + strings.Replace(good, `"x"`, `"moduleEnd"`, 1) + `}`:                         {core.MissingField, "module"},
		`{` + good + `,"created_at":"yesterday"}`:                                          {core.WrongType, "created_at"},
		`{` + good + `,"created_at":1}`:                                                    {core.OutOfRange, "created_at"},
		fmt.Sprintf(`{%s,"created_at":%d}`, good, now+2*day):                               {core.OutOfRange, "created_at"},
		fmt.Sprintf(`{%s,"created_at":%d}`, good, now/1000):                                {core.OutOfRange, "created_at"},
		`{` + good + `,"time_spent":-1}`:                                                   {core.OutOfRange, "time_spent"},
		`{` + good + `,"time_spent":1e99}`:                                                 {core.OutOfRange, "time_spent"},
		`{` + good + `,"active_duration":[]}`:                                              {core.WrongType, "active_duration"},
		`{` + good + `,"total":"many"}`:                                                    {core.WrongType, "total"},
		`{` + good + `,"details":"x"}`:                                                     {core.WrongType, "details"},
		`{` + good + `,"module":{}}`:                                                       {core.WrongType, "module"},
		`{` + good + `,"module":"` + strings.Repeat("ä", 257) + `"}`:                       {core.TooLong, "module"},
		`{` + good + `,"x":"` + strings.Repeat("x", 70_000) + `"}`:                         {core.TooLarge, ""},
	} {
		e, failure := usage.Parse([]byte(line), now)
		if failure == nil {
			t.Errorf("%.80s: %+v", line, e)
			continue
		}
		if failure.Code != want.code || failure.Field != want.field || failure.Message == "" {
			t.Errorf("%.80s: %+v", line, failure)
		}
	}
}

func FuzzAnythingIsParsedOrRefused(f *testing.F) {
	f.Add([]byte(`{"action":"x","userId":1,"createdAt":"1784116800000","details":{"a":[1,{"b":null}]}}`))
	f.Add([]byte(`action=x&user_id=u&created_at=1784116800000&details%5Bemail%5D=x&details[a][b]=1&details[]=2`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, failure := usage.Parse(text, at(0))
		if (e == nil) == (failure == nil) {
			t.Fatalf("%+v, %+v", e, failure)
		}
	})
}

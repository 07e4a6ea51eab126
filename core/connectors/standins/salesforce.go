package standins

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

var soql = regexp.MustCompile(`^SELECT ([\w.,]+) FROM (\w+)(?: WHERE SystemModstamp >= (\S+))? ORDER BY SystemModstamp ASC$`)

func salesforce(s *connectortest.Server) {
	const host, version = "acme.my.salesforce.com", "/services/data/v63.0"
	streams := map[string]string{"User": "users", "Account": "accounts", "Contact": "contacts", "Opportunity": "opportunities", "Case": "cases", "Task": "tasks", "Event": "events", "Note": "notes"}
	for object, name := range streams {
		c := connectortest.Collection{ID: "Id", Updated: "SystemModstamp", Form: "2006-01-02T15:04:05.000-0700"}
		if object != "User" { // users are never deleted
			c.Delete = func(r connectortest.Row) { r["IsDeleted"] = true }
		}
		s.Collection(name, c)
	}
	refuse := func(status int, code, message string, want error) connectortest.Refusal {
		return connectortest.Refusal{Name: code, Status: status, Body: []any{connectortest.Row{"errorCode": code, "message": message}}, Want: want}
	}
	s.Limited = refuse(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", nil)
	s.Expired = refuse(401, "INVALID_SESSION_ID", "Session expired or invalid", nil)
	s.Refused = []connectortest.Refusal{
		refuse(400, "INVALID_FIELD", "No such column 'Tier__c' on entity 'Account'.", connector.ErrRefused),
		refuse(403, "INSUFFICIENT_ACCESS", "insufficient access rights", connector.ErrCredentials),
	}
	s.OAuth("POST login.salesforce.com/services/oauth2/token", connectortest.OAuth{Rotating: true,
		Extra: map[string]any{"instance_url": "https://" + host, "id": "https://login.salesforce.com/id/00D/005", "issued_at": "1730000000000", "scope": "api refresh_token"}})

	described := func(object string) []any {
		names, _ := connectortest.At(s.Data("describe"), object).([]any)
		return names
	}
	s.Handle("GET "+host+version+"/sobjects/{object}/describe", func(q *connectortest.Request) any {
		q.Known()
		fields := []any{}
		for _, name := range described(q.Path("object")) {
			fields = append(fields, connectortest.Row{"name": name, "label": name, "type": "string"})
		}
		return connectortest.Row{"name": q.Path("object"), "fields": fields}
	})
	answer := func(q *connectortest.Request, cut connectortest.Cut) any {
		q.SetHeader("Sforce-Limit-Info", "api-usage=10018/100000")
		page := connectortest.Row{"totalSize": cut.Total, "done": cut.Last, "records": cut.Rows}
		if !cut.Last {
			page["nextRecordsUrl"] = version + "/query/" + url.PathEscape(cut.Token)
		}
		return page
	}
	s.Handle("GET "+host+version+"/queryAll/{$}", func(q *connectortest.Request) any {
		q.Known("q")
		m := soql.FindStringSubmatch(q.Get("q"))
		if m == nil || streams[m[2]] == "" {
			q.Fault("%s is no query", q.Get("q"))
			return nil
		}
		fields := strings.Split(m[1], ",")
		for _, name := range fields {
			object := m[2]
			if of, ok := strings.CutPrefix(name, "Parent."); ok && slices.Contains(described(object), any("ParentId")) {
				name = of
			}
			if !slices.Contains(described(object), any(name)) {
				return refuse(400, "INVALID_FIELD", "No such column '"+name+"' on entity '"+object+"'.", nil)
			}
		}
		return answer(q, q.Cursor("", 2000, func() []connectortest.Row {
			var since time.Time
			if m[3] != "" {
				var err error
				if since, err = time.Parse(time.RFC3339, m[3]); err != nil {
					q.Fault("%v", err)
				}
			}
			rows := s.Since(streams[m[2]], since)
			for i, row := range rows { // only what was selected is there
				selected := connectortest.Row{"attributes": row["attributes"]}
				for _, name := range fields {
					name, _, _ = strings.Cut(name, ".")
					selected[name] = row[name]
				}
				rows[i] = selected
			}
			return rows
		}))
	})
	s.Handle("GET "+host+version+"/query/{locator}", func(q *connectortest.Request) any {
		q.Known()
		return answer(q, q.Cursor(q.Path("locator"), 2000, nil))
	})
}

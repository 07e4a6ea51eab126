package connectors

import (
	"encoding/json"
	"fmt"
	"time"

	"tenure/core/connector"
)

const (
	// jiraFields are the fields of issues that are read. By itself a search yields ids.
	jiraMore   = `[$settings.account_field // empty, (($settings.more_fields // "") | scan("\\w+"))]`
	jiraFields = `["summary", "status", "priority", "issuetype", "assignee", "reporter", "created", "updated", "resolutiondate", "description"] + ` + jiraMore + ` | unique`
	// jiraSince asks for issues that have changed. The time has minutes, and is read in
	// the zone of the user. There were no issues before 2000.
	jiraSince = `(if $settings.jql then "(\($settings.jql)) and " else "" end) + "updated >= \"\([$since // 946684800000, $facts.zone] | jiraminute)\" order by updated asc"`
	// jiraAccount is the id in a field: a text, a number, a choice, or a list with one
	// of them. Of several none is taken.
	jiraAccount = `def single: if type == "object" then .value // .id elif type == "array" then if length == 1 then .[0] | single else null end else . end;
		if $settings.account_field then .fields[$settings.account_field] | single else null end`
	// jiraText is a definition: flat is the text of a document in Atlassian Document
	// Format, with lines for blocks. Older ones are texts.
	jiraText = `def flat: if type != "object" then . elif .type == "text" then .text // "" elif .type == "hardBreak" then "\n"
		elif .attrs.text? then .attrs.text elif .attrs.url? and .content == null then .attrs.url
		else (.type | IN("paragraph", "heading", "codeBlock")) as $line | [.content[]? | flat] | join(if $line then "" else "\n" end) end; `
)

// jiraMinute returns an instant, in epoch ms, as a query has it in a time zone.
func jiraMinute(input any) any {
	pair, _ := input.([]any)
	if len(pair) != 2 {
		return fmt.Errorf("there is no instant with a zone")
	}
	name, _ := pair[1].(string)
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" {
		return fmt.Errorf("the time zone %q of the user is not known", name)
	}
	ms, err := json.Number(fmt.Sprint(pair[0])).Int64()
	if err != nil {
		return err
	}
	return time.UnixMilli(ms).In(zone).Format("2006/01/02 15:04")
}

// jiraIssues is a stream of issues.
func jiraIssues(st connector.Stream) connector.Stream {
	st.Request = connector.Request{Method: "POST", Path: "/search/jql",
		Body: `{jql: (` + jiraSince + `), fields: (` + jiraFields + `), maxResults: 100} + if $page then {nextPageToken: $page} else {} end`}
	st.Paging = connector.NextToken(`if .isLast == true then null elif .isLast == false and .nextPageToken == null then error("there are more issues, and it is not said where") else .nextPageToken end`)
	st.Items, st.ID, st.Label = ".issues[]", ".id", ".key"
	// Of an hour that comes twice, when clocks are put back, a query may mean the
	// second.
	st.Incremental, st.Overlap = true, time.Hour+overlap
	return st
}

var jira = &connector.Connector{
	Name: "jira", Title: "JIRA", Kind: connector.Support,
	Doc: "Issues of Jira Cloud, as tickets. Issues that were deleted, or that the user does not see any more, are found when everything is read.",
	Settings: []connector.Setting{
		{Name: "site", Title: "Site", Doc: "What stands before .atlassian.net.", Required: true, Pattern: `[a-z0-9][a-z0-9-]*`},
		{Name: "cloud_id", Title: "Cloud id", Doc: "The id of the site, for OAuth 2.0: \"cloudId\" at https://SITE.atlassian.net/_edge/tenant_info.", Pattern: `[0-9a-f-]{36}`},
		{Name: "account_field", Title: "Field of the id", Doc: "The id of the issues' field that leads to the account, such as customfield_10050 (ids differ from site to site).", Pattern: `[A-Za-z]\w*`},
		{Name: "more_fields", Title: "Further fields", Doc: "Ids of further fields to be read, for mappings of your own, separated by commas.", Pattern: `\w+(, *\w+)*`},
		{Name: "jql", Title: "Condition", Doc: "Which issues are read, in JQL, such as project = SUP; all of them if it is not set. Without \"order by\"."},
	},
	Auth: []connector.Auth{
		{Name: "api_token", Title: "API token", Settings: []connector.Setting{
			{Name: "email", Title: "E-mail", Doc: "The address of the user whose token it is.", Required: true},
			{Name: "api_token", Title: "API token", Doc: "One from id.atlassian.com.", Required: true, Secret: true},
		}, Headers: map[string]string{"Authorization": `"Basic " + ("\(.email):\(.api_token)" | @base64)`}},
		{Name: "oauth", Title: "OAuth 2.0", Settings: []connector.Setting{
			{Name: "client_id", Title: "Client id", Doc: "That of an app at developer.atlassian.com.", Required: true},
			{Name: "client_secret", Title: "Secret", Doc: "The secret of the app.", Required: true, Secret: true},
		}, Headers: map[string]string{"Authorization": `"Bearer " + .access_token`},
			Base: `"https://api.atlassian.com/ex/jira/\($settings.cloud_id // "cloud-id-is-not-set")/rest/api/3"`,
			OAuth: &connector.OAuth{
				Grant: connector.AuthorizationCode, AuthorizeURL: `"https://auth.atlassian.com/authorize"`, TokenURL: `"https://auth.atlassian.com/oauth/token"`,
				Params: map[string]string{"audience": "api.atlassian.com", "prompt": "consent"}, Scopes: `"read:jira-work read:jira-user offline_access"`, JSON: true,
			}},
	},
	Base:   `"https://\($settings.site).atlassian.net/rest/api/3"`,
	Hosts:  []string{"*.atlassian.net", "api.atlassian.com", "auth.atlassian.com"},
	Limits: connector.Limits{Requests: 300, Per: time.Minute, Pause: 30 * time.Second},
	Errors: connector.Errors{Message: `[.errorMessages[]?, (.errors | objects | .[]), .message?] | map(strings) | join("; ")`},
	// With a token that is wrong a site that is public shows what everybody sees, but
	// it does not say who "everybody" is.
	Check:     connector.Request{Path: "/myself"},
	CheckThat: `if .timeZone then null else "Jira does not tell the user's time zone, which queries need" end`,
	Facts: []connector.Fact{
		{Name: "zone", Request: connector.Request{Path: "/myself"}, Pick: `.timeZone // error("Jira does not tell the user's time zone, which queries need")`},
		{Name: "fields", Request: connector.Request{Path: "/field"},
			Pick: `(` + jiraMore + ` - [.[].id]) as $missing | if $missing == [] then true else error("issues have no field \($missing | join(", ")) that the user sees") end`},
	},
	Functions: map[string]func(any) any{"jiraminute": jiraMinute},

	Locations: []connector.Location{
		{Name: "account_field", Title: "Custom field of issues", Doc: "A custom field that holds the account_id, typically filled from your product.", Best: true, Stream: "issues", Path: jiraAccount, By: connector.ByAccountID},
		{Name: "support_account_id", Title: "Field with an id of your accounts", Doc: "A field with an id of an account that the accounts have as their support_account_id.", Stream: "issues", Path: jiraAccount, By: connector.BySupportID},
	},
	Streams: []connector.Stream{
		jiraIssues(connector.Stream{
			Name: "issues", Title: "Issues",
			Feeds: []connector.Feed{{Family: "support_tickets", Fields: []connector.Field{
				// Keys change when issues move to other projects.
				{To: "ticket_id", From: ".id"}, {To: "subject", From: `.fields.summary // .key`}, {To: "state", From: ".fields.status.name"}, {To: "create_time", From: ".fields.created | time"},
				{To: "close_time", From: `if .fields.status.statusCategory.key == "done" then .fields.resolutiondate | time else null end`}, {To: "last_update_time", From: ".fields.updated | time"},
				{To: "type", From: ".fields.issuetype.name"}, {To: "priority", From: ".fields.priority.name"}, {To: "description", From: jiraText + ".fields.description | flat"},
				{To: "assignee_id", From: ".fields.assignee.accountId"}, {To: "assignee_email", From: ".fields.assignee.emailAddress"},
			}}},
		}),
		jiraIssues(connector.Stream{
			Name: "comments", Title: "Comments", Doc: "Comments on issues. It takes a request for each issue that has changed.", Optional: true,
			Account: []connector.Route{{Via: "issues", Key: ".id"}},
			Details: []connector.Detail{{
				Request: connector.Request{Path: "/issue/\\(.id)/comment", Query: "{startAt: $page, maxResults: 100}"},
				Paging:  connector.NextToken("if $count > 0 and .startAt + $count < .total then .startAt + $count else null end"), Items: ".comments[]", Into: "comments",
			}},
			Feeds: []connector.Feed{{Family: "interactions", Each: ".comments[]", Fields: []connector.Field{
				{To: "external_id", From: ".id"}, {To: "type", From: `"Comment"`}, {To: "create_time", From: ".created | time"}, {To: "subject", From: "$record | .fields.summary // .key"},
				{To: "details", From: jiraText + ".body | flat"}, {To: "rep_email", From: ".author.emailAddress"},
				{To: "rep_first_name", From: "if .author.displayName then " + first("null; null; .author.displayName; null") + " else null end"},
				{To: "rep_last_name", From: "if .author.displayName then " + last("null; null; .author.displayName; null") + " else null end"},
			}}},
		}),
	},
}

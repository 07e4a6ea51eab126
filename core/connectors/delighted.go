package connectors

import (
	"time"

	"tenure/core/connector"
)

const (
	delightedPerson = `(.person | if type == "object" then . else {} end)` // an id alone, unless more was asked for
	delightedEmail  = delightedPerson + ".email | email"
	// delightedItems are lists without anything around them.
	delightedItems = `if type == "array" then .[] else error("it is no list") end`
	delightedSaid  = `(.comment // "") != ""`
	// delightedOver is what the address of a service answers that is not there any
	// more. What fails may come back, and a bad key is something else.
	delightedOver = `.status == 404 or .status == 410 or .status < 400 and (.body | type == "string" and test("^\\s*<"))`
)

var delighted = &connector.Connector{
	Name: "delighted", Title: "Delighted", Kind: connector.Survey,
	Doc:   "Answers to surveys of one Delighted project, from exported files: JSON as the API gave it.",
	Ended: &connector.Ended{Since: "2026-06-30", Message: "Delighted was announced to end on 30 June 2026. Its answers can be imported from exported files."},
	Settings: []connector.Setting{
		{Name: "property", Title: "Property", Doc: "The property of a person that has the account_id, such as Customer ID, if you have sent one with the surveys."},
		{Name: "scale", Title: "Scale of scores", Doc: "net: an answer counts as 100 (promoter, 9 or 10), 0 (passive) or -100 (detractor, 0 to 6), so that the mean of answers is the net promoter score. answer: as it was given, from 0 to 10.",
			Choices: []string{"net", "answer"}, Default: "net"},
	},
	Auth: []connector.Auth{{
		Name: "api_key", Title: "API key", Settings: []connector.Setting{{Name: "api_key", Title: "API key", Doc: "Each project has its own.", Required: true, Secret: true}},
		Headers: map[string]string{"Authorization": `"Basic " + (.api_key + ":" | @base64)`},
	}},
	Base: `"https://api.delighted.com/v1"`, Hosts: []string{"api.delighted.com"},
	Headers: map[string]string{"Accept": `"application/json"`},
	Limits:  connector.Limits{Requests: 2, Per: time.Second, Pause: 30 * time.Second}, // the real ones are not published
	Errors:  connector.Errors{Message: ".message?", Gone: delightedOver},
	Check:   connector.Request{Path: "/metrics.json"},
	Locations: []connector.Location{
		{Name: "email", Title: "E-mail address of the person", Doc: "If all e-mail addresses exist among the users and contacts of accounts. People asked by SMS have none.", Best: true, Stream: "survey_responses", Path: delightedEmail, By: connector.ByEmail},
		{Name: "property", Title: "Property of the person", Doc: "Sent along with the survey. Set which property it is; the e-mail address is tried next.", Best: true, Stream: "survey_responses",
			Path: `.person_properties[$settings.property // empty]?`, By: connector.ByAccountID},
	},
	Streams: []connector.Stream{
		{
			Name: "survey_responses", Title: "Answers", // the person is only an id without expand
			Request: connector.Request{Path: "/survey_responses.json", Query: `{per_page: 100, page: ($page // 1), order: "asc", "expand[]": "person", updated_since: ($since | unix)}`},
			Paging:  connector.PageNumbers(100), Items: delightedItems, ID: ".id", Label: delightedEmail, Incremental: true, Overlap: overlap,
			Account: []connector.Route{{Path: delightedEmail, By: connector.ByEmail}},
			Feeds: []connector.Feed{
				// Other surveys have other scales.
				{Family: "accounts", When: `.survey_type == "nps" and .score != null`, Fields: []connector.Field{{To: "nps_history", From: `[{
					nps_score: (if $settings.scale == "answer" then .score elif .score >= 9 then 100 elif .score >= 7 then 0 else -100 end),
					date: (.created_at | seconds), username: (` + delightedPerson + ` | (.email | email) // .name), comments: .comment}]`}}},
				{Family: "interactions", Optional: true, When: delightedSaid, Fields: []connector.Field{
					{To: "external_id", From: ".id"}, {To: "type", From: `"survey"`}, {To: "create_time", From: ".created_at | seconds"},
					{To: "user_id", From: delightedPerson + ".id"}, {To: "user", From: delightedPerson + " | .name // .email"},
					{To: "subject", From: `"\(.survey_type // "survey"): \(.score)"`}, {To: "details", From: ".comment"},
				}},
			},
		},
		{
			Name: "people", Title: "People", Optional: true, // there is no filter by the time of a change
			Request: connector.Request{Path: "/people.json", Query: "{per_page: 100}"}, Paging: connector.LinkHeader(), Items: delightedItems, ID: ".id", Label: ".email // .name", Passing: true,
			Account: []connector.Route{{Path: ".email | email", By: connector.ByEmail}},
			Feeds: []connector.Feed{{Family: "account_contacts", Fields: []connector.Field{
				{To: "user_id", From: ".id"}, {To: "first_name", From: first("null; null; .name; .email")},
				{To: "last_name", From: last("null; null; .name; .email")}, {To: "email", From: ".email | email"}, {To: "phone", From: ".phone_number"},
			}}},
		},
	},
}

package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/identity"
	"tenure/core/usage"
)

const (
	// usersAtOnce is how many users the page of an account lists, unattachedAtOnce how
	// many things that events wait for a page lists.
	usersAtOnce      = 100
	unattachedAtOnce = 50
	// longestTable is how many modules, features and actions are listed.
	longestTable = 20
)

// usageRoutes are the pages of what users do in the product.
func usageRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/usage", role: identity.Viewer, serve: usagePage},
		{method: http.MethodGet, path: "/usage/account", role: identity.Viewer, serve: accountUsagePage},
		{method: http.MethodGet, path: "/usage/unattached", role: identity.Viewer, serve: unattachedPage},
		{method: http.MethodPost, path: "/usage/settings", role: identity.Admin, serve: setUsage, form: usagePage},
	}
}

// usageData is what the pages of usage show.
type usageData struct {
	*usage.Report
	// AsOf is when it was read, in epoch ms.
	AsOf int64 `json:"as_of"`
	// Live says that the page keeps itself up to date.
	Live bool `json:"-"`
	// Days is for how many days up to today.
	Days int `json:"days"`
	// Account is whose usage it is; nil for all of the workspace.
	Account *usageAccount `json:"account,omitempty"`
	// Unattached says that events wait for their user or account.
	Unattached bool `json:"unattached"`
	// Settings are those of the workspace.
	Settings *usage.Settings `json:"settings,omitempty"`
}

// usageAccount is an account whose usage is shown.
type usageAccount struct {
	ID   string `json:"account_id"`
	Name string `json:"name"`
	// Users are those who had an event, the last seen first among the first ones; Next
	// is "after" of the next page, empty on the last.
	Users []usage.Seen `json:"users"`
	Next  string       `json:"next,omitempty"`
}

// usageDays are for how many days usage is offered.
var usageDays = []int{7, 30, 90, 365}

// Choices returns for how many days it can be shown.
func (usageData) Choices() []int { return usageDays }

// Intervals returns by what it can be shown.
func (usageData) Intervals() []usage.Interval { return usage.Intervals }

// Same returns the page, below BasePath + "/", with what it was asked for; Switched
// returns it with Live turned on or off.
func (d usageData) Same() string     { return d.query(d.Live) }
func (d usageData) Switched() string { return d.query(!d.Live) }

func (d usageData) query(live bool) string {
	q := url.Values{"days": {strconv.Itoa(d.Days)}, "interval": {string(d.Interval)}}
	if !live {
		q.Set("live", "0")
	}
	if d.Account == nil {
		return "usage?" + q.Encode()
	}
	q.Set("account_id", d.Account.ID)
	return "usage/account?" + q.Encode()
}

// Quiet reports whether there was no event at all.
func (d usageData) Quiet() bool { return d.Totals.Events == 0 }

// TopModules, TopFeatures and TopActions return the first of what is counted.
func (d usageData) TopModules() []usage.Module { return first(d.Totals.Modules) }

// TopFeatures returns the most used features.
func (d usageData) TopFeatures() []usage.FeatureUse { return first(d.Totals.Features) }

// TopActions returns the most frequent actions.
func (d usageData) TopActions() []usage.Action { return first(d.Totals.Actions) }

func first[T any](all []T) []T { return all[:min(len(all), longestTable)] }

// duration writes how long something took, in ms, for people.
func duration(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch minutes := int64(d.Round(time.Minute) / time.Minute); {
	case d < time.Minute:
		return strconv.FormatInt(int64(d.Round(time.Second)/time.Second), 10) + " s"
	case minutes < 60:
		return strconv.FormatInt(minutes, 10) + " min"
	default:
		return number(minutes/60) + " h " + strconv.FormatInt(minutes%60, 10) + " min"
	}
}

// period returns what is to be shown, by the query: whole days up to today.
func (s *server) period(r *request) (p usage.Period, days int, err error) {
	q := r.URL.Query()
	days, interval := 30, usage.Day
	if text := q.Get("days"); text != "" {
		if days, err = strconv.Atoi(text); err != nil || days < 1 || days > usage.MaxDays {
			return p, 0, &core.Failure{Code: core.OutOfRange, Field: "days", Message: "'days' must be from 1 to " + strconv.Itoa(usage.MaxDays)}
		}
	}
	if text := q.Get("interval"); text != "" {
		interval = usage.Interval(text)
	}
	now := s.Now().UTC()
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	p = usage.Period{Start: today.AddDate(0, 0, 1-days).UnixMilli(), End: today.AddDate(0, 0, 1).UnixMilli(), Interval: interval}
	if failure := p.Check(); failure != nil {
		return p, 0, failure
	}
	return p, days, nil
}

// usageOf returns what all pages of usage show.
func (s *server) usageOf(r *request, read func(p usage.Period) (*usage.Report, error)) (usageData, error) {
	p, days, err := s.period(r)
	if err != nil {
		return usageData{}, err
	}
	data := usageData{AsOf: s.Now().UnixMilli(), Live: r.URL.Query().Get("live") != "0", Days: days}
	if data.Report, err = read(p); err != nil {
		return usageData{}, err
	}
	waiting, _, err := s.Usage.Unattached(r.Context(), r.workspace(), "", 1)
	data.Unattached = len(waiting) > 0
	return data, err
}

func usagePage(s *server, r *request) (view, error) {
	data, err := s.usageOf(r, func(p usage.Period) (*usage.Report, error) {
		return s.Usage.Workspace(r.Context(), r.workspace(), p)
	})
	if err != nil {
		return view{}, err
	}
	settings, err := s.Usage.Settings(r.Context(), r.workspace())
	data.Settings = &settings
	return view{template: "usage", title: "Usage", fragment: "usage", data: data}, err
}

func accountUsagePage(s *server, r *request) (view, error) {
	id := r.URL.Query().Get("account_id")
	stored, err := s.Usage.Engine.StoredAccounts(r.Context(), r.workspace(), accounts.Family, []string{id})
	if err != nil {
		return view{}, err
	}
	account := stored[id]
	if account == nil {
		return view{}, &core.Failure{Code: core.NotFound, Field: "account_id", Message: "There is no account '" + id + "'"}
	}
	data, err := s.usageOf(r, func(p usage.Period) (*usage.Report, error) {
		return s.Usage.Account(r.Context(), r.workspace(), id, p)
	})
	if err != nil {
		return view{}, err
	}
	data.Account = &usageAccount{ID: id, Name: account[accounts.Family.Schema.Ordinal("name")].Text()}
	data.Account.Users, data.Account.Next, err = s.Usage.UsersOf(r.Context(), r.workspace(), id, r.URL.Query().Get("after"), usersAtOnce)
	slices.SortStableFunc(data.Account.Users, func(a, b usage.Seen) int { return cmp.Compare(b.LastDay, a.LastDay) })
	return view{template: "usage", title: "Usage of " + data.Account.Name, fragment: "usage", data: data}, err
}

// unattachedData is what the page of events that wait shows.
type unattachedData struct {
	Unattached []usage.Unattached `json:"unattached"`
	// Next is "after" of the next page; empty on the last.
	Next string `json:"next,omitempty"`
}

func unattachedPage(s *server, r *request) (view, error) {
	all, next, err := s.Usage.Unattached(r.Context(), r.workspace(), r.URL.Query().Get("after"), unattachedAtOnce)
	if all == nil {
		all = []usage.Unattached{}
	}
	return view{template: "unattached", title: "Unattached events", data: unattachedData{all, next}}, err
}

func setUsage(s *server, r *request) (view, error) {
	settings := usage.Settings{CreateAccounts: r.on("create_accounts")}
	if err := s.Usage.SetSettings(r.Context(), r.workspace(), settings); err != nil {
		return view{}, err
	}
	r.audit("usage.changed", map[bool]string{true: "events may create accounts", false: "events may not create accounts"}[settings.CreateAccounts])
	return view{to: "usage", done: "usage-changed"}, nil
}

package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/health"
	"tenure/core/identity"
)

// healthRoutes are the pages of how accounts are doing.
func healthRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/health", role: identity.Viewer, serve: healthPage},
		{method: http.MethodGet, path: "/health/account", role: identity.Viewer, serve: accountHealthPage},
		{method: http.MethodPost, path: "/health/settings", role: identity.Admin, serve: setHealth, form: healthPage},
		{method: http.MethodPost, path: "/health/defaults", role: identity.Admin, serve: resetHealth},
	}
}

// scores returns the store of the health of accounts: it lies where usage does.
func (s *server) scores() *health.Store { return health.NewStore(s.Usage.Table, s.Usage.Now) }

// healthData is what the page of the model shows.
type healthData struct {
	Settings health.Settings `json:"settings"`
	// Version is to be sent with a change, which is refused if there is another one by
	// then.
	Version string `json:"version"`
	// Changed says that the settings are not the defaults.
	Changed bool `json:"changed"`
	// Groups are the settings as the form has them.
	Groups []healthGroup `json:"-"`
}

// healthGroup is the settings of a part of the model.
type healthGroup struct {
	Part, Title, Doc string
	Fields           []healthField
}

// healthField is a setting in the form.
type healthField struct {
	health.Field
	Value   string
	Default int
}

// healthParts are the groups of settings, without their fields.
var healthParts = []healthGroup{
	{Part: "", Title: "When there is a score", Doc: "Where less is known of an account, it has no score."},
	{Part: health.UsagePart, Title: "Usage", Doc: "Active users and sessions of the last 28 days against the 28 before, and when the last event was."},
	{Part: health.SupportPart, Title: "Support", Doc: "Open, unsolved and new tickets, against what is usual for the account."},
	{Part: health.NPSPart, Title: "NPS", Doc: "The net promoter score."},
	{Part: health.RevenuePart, Title: "Revenue", Doc: "MRR against that of 90 days ago."},
	{Part: health.RenewalPart, Title: "Renewal", Doc: "A renewal that is near counts only where the other parts look bad: then it lowers the score, the more the nearer it is."},
}

func healthPage(s *server, r *request) (view, error) {
	settings, version, err := s.scores().Settings(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	defaults := health.Defaults()
	data := healthData{Settings: settings, Version: strconv.FormatInt(version, 10), Changed: settings != defaults, Groups: slices.Clone(healthParts)}
	for i := range data.Groups {
		g := &data.Groups[i]
		for _, f := range health.Fields {
			if f.Part != g.Part {
				continue
			}
			value := strconv.Itoa(f.Of(&settings))
			if r.failure != nil && r.form.Has(f.Name) { // the form is shown as it was entered
				value = r.form.Get(f.Name)
			}
			g.Fields = append(g.Fields, healthField{f, value, f.Of(&defaults)})
		}
	}
	if r.failure != nil {
		data.Version = r.form.Get("version")
	}
	return view{template: "health", title: "Health", section: "health", data: data}, nil
}

func setHealth(s *server, r *request) (view, error) {
	_, version, err := s.scores().Settings(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	if err := r.stale(strconv.FormatInt(version, 10)); err != nil {
		return view{}, err
	}
	return s.changeHealth(r, func(chosen *health.Settings) *core.Failure {
		for i := range health.Fields {
			f := &health.Fields[i]
			if !r.form.Has(f.Name) {
				continue
			}
			n, err := strconv.Atoi(strings.TrimSpace(r.form.Get(f.Name)))
			if err != nil {
				return &core.Failure{Code: core.WrongType, Field: f.Name, Message: "'" + f.Name + "' must be a whole number"}
			}
			f.Set(chosen, n)
		}
		return nil
	})
}

func resetHealth(s *server, r *request) (view, error) {
	return s.changeHealth(r, func(chosen *health.Settings) *core.Failure {
		*chosen = health.Defaults()
		return nil
	})
}

// changeHealth changes the settings, and says in the audit log what it changed.
func (s *server) changeHealth(r *request, change func(*health.Settings) *core.Failure) (view, error) {
	var changed []string
	failure, err := s.scores().SetSettings(r.Context(), r.workspace(), func(chosen *health.Settings) *core.Failure {
		before := *chosen
		changed = nil
		if failure := change(chosen); failure != nil {
			return failure
		}
		for _, f := range health.Fields {
			if was, is := f.Of(&before), f.Of(chosen); was != is {
				changed = append(changed, fmt.Sprintf("%s %d, was %d", f.Name, is, was))
			}
		}
		return nil
	})
	if err != nil {
		return view{}, err
	}
	if failure != nil {
		return view{}, failure
	}
	if changed == nil {
		changed = []string{"nothing"}
	}
	r.audit("health.changed", strings.Join(changed, "; "))
	return view{to: "health", done: "health-changed"}, nil
}

// accountHealthData is what the page of an account shows.
type accountHealthData struct {
	AccountID string `json:"account_id"`
	Name      string `json:"name"`
	health.Assessment
	// ComputedAt is in epoch ms; nil for never.
	ComputedAt *int64 `json:"computed_at"`
	// Days is for how many days up to today History is.
	Days    int          `json:"days"`
	History []health.Day `json:"history"`
}

// Choices returns for how many days the history can be shown.
func (accountHealthData) Choices() []int { return []int{30, 90, 365} }

// Cells returns the points of a day's parts, in their order, as a table shows them.
func (accountHealthData) Cells(d health.Day) (cells []string) {
	for _, name := range health.PartNames {
		points, known := d.Points[name]
		if !known {
			cells = append(cells, "–")
			continue
		}
		cells = append(cells, strconv.Itoa(points))
	}
	return cells
}

func accountHealthPage(s *server, r *request) (view, error) {
	q := r.URL.Query()
	id, days := q.Get("account_id"), 90
	if text := q.Get("days"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > health.MaxDays {
			return view{}, &core.Failure{Code: core.OutOfRange, Field: "days", Message: "'days' must be from 1 to " + strconv.Itoa(health.MaxDays)}
		}
		days = n
	}
	stored, err := s.Usage.Engine.StoredAccounts(r.Context(), r.workspace(), accounts.Family, []string{id})
	if err != nil {
		return view{}, err
	}
	account := stored[id]
	if account == nil {
		return view{}, &core.Failure{Code: core.NotFound, Field: "account_id", Message: "There is no account '" + id + "'"}
	}
	data := accountHealthData{AccountID: id, Name: account[accounts.Family.Schema.Ordinal("name")].Text(), Days: days, Assessment: health.Unassessed()}
	latest, found, err := s.scores().Latest(r.Context(), r.workspace(), id)
	if err != nil {
		return view{}, err
	}
	if found {
		data.Assessment, data.ComputedAt = latest.Assessment, &latest.At
	}
	now := s.Now()
	history, failure, err := s.scores().History(r.Context(), r.workspace(), id, max(now.AddDate(0, 0, 1-days).UnixMilli(), 0), now.UnixMilli()+1)
	if failure != nil {
		return view{}, failure
	}
	data.History = history
	return view{template: "health-account", title: "Health of " + data.Name, section: "health", data: data}, err
}

package console_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"tenure/core/accounts"
	"tenure/core/health"
	"tenure/core/identity"
)

func init() {
	examples["GET /health/account"] = func(w *world, workspace string) example {
		w.assessed(workspace)
		return example{path: "/health/account?account_id=a%26b"}
	}
	examples["POST /health/settings"] = func(w *world, workspace string) example {
		return example{path: "/health/settings", form: url.Values{"weights.nps": {"7"}}, done: "health.changed"}
	}
	examples["POST /health/defaults"] = func(w *world, workspace string) example {
		return example{path: "/health/defaults", done: "health.changed"}
	}
}

func (w *world) scores() *health.Store { return health.NewStore(w.store, w.Now) }

// assessed makes an account, and keeps what its health is.
func (w *world) assessed(workspace string) {
	w.Helper()
	w.post(workspace, accounts.Family, `{"account_id":"a&b","name":"<Acme>","join_date":1}`)
	score, days := int64(-30), int64(400)
	const day = 24 * 60 * 60 * 1000
	for i, mrr := range []int64{100, 0} { // yesterday and today
		before, _, err := w.scores().Latest(w.Context(), workspace, "a&b")
		if err != nil {
			w.Fatal(err)
		}
		a := health.Assess(health.Inputs{
			Active: true, NPS: health.NPS{Score: &score}, Revenue: health.Revenue{SinceFirst: &days, Now: mrr, Before: 100},
			Support: health.Support{Open: [4]int64{1}, Past: 30, PastDays: 336},
		}, health.Defaults())
		if _, err := w.scores().Keep(w.Context(), workspace, "a&b", before, a, w.Now().UnixMilli()+int64(i-1)*day); err != nil {
			w.Fatal(err)
		}
	}
}

func TestTheHealthOfAnAccountIsShownWithWhy(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Viewer)
	w.assessed("acme")
	b.get("/health/account?account_id=a%26b").shows(t, "Health of &lt;Acme&gt;", "is the weighted mean of support",
		"MRR is 0.00, and was 1.00 90 days ago (-100%).", "Not enough data: there are no usage events.", `<td class="num">0</td>`, "90 days", "Open now: 1 ticket")
	var data struct {
		AccountID  string `json:"account_id"`
		Score      *int
		Parts      []health.Part
		ComputedAt int64 `json:"computed_at"`
		History    []health.Day
	}
	b.json("/health/account?account_id=a%26b&days=30").data(t, &data)
	if data.AccountID != "a&b" || data.Score == nil || len(data.Parts) != 5 || data.ComputedAt == 0 || len(data.History) != 2 || *data.History[1].Score != *data.Score {
		t.Errorf("%+v", data)
	}
	w.post("acme", accounts.Family, `{"account_id":"new","name":"New","join_date":1}`)
	b.get("/health/account?account_id=new").shows(t, "Not computed yet", "will be assessed within minutes", "Nothing was computed in these days")
	for path, status := range map[string]int{
		"/health/account": http.StatusNotFound, "/health/account?account_id=nobody": http.StatusNotFound,
		"/health/account?account_id=new&days=x": http.StatusUnprocessableEntity, "/health/account?account_id=new&days=0": http.StatusUnprocessableEntity,
		"/health/account?account_id=new&days=9999": http.StatusUnprocessableEntity,
	} {
		if a := b.get(path); a.status != status {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	other := w.as("globex", "gus@example.com", identity.Admin)
	if a := other.get("/health/account?account_id=a%26b"); a.status != http.StatusNotFound || strings.Contains(a.body, "Acme") {
		t.Errorf("another workspace: %d %s", a.status, a.body)
	}
}

func TestTheModelIsSetInTheConsole(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	is := func(workspace, name string, want int) {
		t.Helper()
		s, _, err := w.scores().Settings(t.Context(), workspace)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range health.Fields {
			if f.Name == name && f.Of(&s) != want {
				t.Errorf("%s of %s is %d, want %d", name, workspace, f.Of(&s), want)
			}
		}
	}
	form := url.Values{}
	page := b.get("/health")
	defaults := health.Defaults()
	for _, f := range health.Fields {
		value := strconv.Itoa(f.Of(&defaults))
		if !strings.Contains(page.body, `name="`+f.Name+`" required step="1" min="`+strconv.Itoa(f.Min)+`" max="`+strconv.Itoa(f.Max)+`" value="`+value+`"`) {
			t.Errorf("the page has no field %s", f.Name)
		}
		form.Set(f.Name, value)
	}
	form.Set("version", "0")
	form.Set("weights.usage", " 50 ")
	form.Set("revenue.change.zero", "-40")
	if a := b.post("/health/settings", form); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	is("acme", "weights.usage", 50)
	is("acme", "revenue.change.zero", -40)
	is("acme", "weights.support", 20)
	is("globex", "weights.usage", 35)
	b.get("/audit").shows(t, "health.changed", "weights.usage 50, was 35; revenue.change.zero -40, was -25")
	b.get("/health").shows(t, "Back to what it was")

	// What a form does not send stays; what cannot be is refused at its field.
	if a := b.post("/health/settings", url.Values{"weights.nps": {"1"}}); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	is("acme", "weights.usage", 50)
	is("acme", "weights.nps", 1)
	for field, form := range map[string]url.Values{
		"weights.nps":           {"weights.nps": {"-1"}},
		"usage.min_days":        {"usage.min_days": {"many"}, "weights.nps": {"3"}},
		"nps.score.full":        {"nps.score.zero": {"70"}, "nps.score.full": {"60"}},
		"minimum.parts":         {"minimum.parts": {"4"}, "weights.usage": {"0"}},
		"support.unsolved.zero": {"support.unsolved.zero": {"101"}},
	} {
		a := b.post("/health/settings", form)
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="`+field+`-refused"`) || !strings.Contains(a.body, `value="`+form.Get(field)+`" aria-describedby="`+field+`-hint `+field+`-refused" aria-invalid="true"`) {
			t.Errorf("%s: %d %s", field, a.status, a.body)
		}
	}
	is("acme", "weights.nps", 1)
	is("acme", "nps.score.zero", -50)
	if a := b.post("/health/settings", url.Values{"version": {"0"}, "weights.nps": {"9"}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Somebody else has changed it") {
		t.Errorf("%d %s", a.status, a.body)
	}
	is("acme", "weights.nps", 1)

	viewer := w.as("acme", "vic@example.com", identity.Viewer)
	if a := viewer.get("/health"); strings.Contains(a.body, `method="post" action="health`) || !strings.Contains(a.body, "<dd>50</dd>") {
		t.Errorf("a viewer sees %s", a.body)
	}
	var data struct {
		Settings health.Settings
		Changed  bool
	}
	viewer.json("/health").data(t, &data)
	if !data.Changed || data.Settings.Weights.Usage != 50 {
		t.Errorf("%+v", data)
	}
	if a := b.post("/health/defaults", nil); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	is("acme", "weights.usage", 35)
	is("acme", "revenue.change.zero", -25)
}

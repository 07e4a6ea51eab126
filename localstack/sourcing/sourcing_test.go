package sourcing

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/sources"
)

func TestASourceIsMadeCheckedRunAndReported(t *testing.T) {
	w := newWorld(t)
	if text := w.must("", "list"); !strings.Contains(text, "no sources in acme") {
		t.Errorf("%s", text)
	}
	id := w.added()
	if got, want := fields(w.must("", "list"), id), id+" Shop (System of Record) Shop 1h0m stored none - now 0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := fields(w.must("", "check", "shop"), "customers"), "customers 2 1 0 0 0 1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	text := w.must("", "preview", id, "customers")
	for _, want := range []string{"1  Ann's  → account a1\n", `accounts, inserted  {`, `"name":"Ann's"`, "2  No number·[31m  mismatch: ", "Nothing was written"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	text = w.must("", "survey", id)
	for _, want := range []string{"(in use)", "Is it made by a program?\n", "Will it include all of your accounts?\n  good: There are no accounts here yet: 1 account would come", "account_id is missing in 1"} {
		if !strings.Contains(text, want) || strings.ContainsAny(text, "\x1b") {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	text = w.must("", "run", id)
	for first, want := range map[string]string{
		"customers": "customers 2 0 1 0 0 0 1 0 0 0", "orders": "orders 2 0 1 0 0 0 1 0 0 0", "together": "together 4 0 2 0 0 0 2 0 0 0",
		"Records": "Records that wait for their account: 2", "Problems:": "Problems: 2", "mismatch": "mismatch customers 2 No number·[31m There is nothing that names its account: Number is empty",
	} {
		if got := fields(text, first); got != want {
			t.Errorf("%q, want %q, in\n%s", got, want, text)
		}
	}
	if !strings.Contains(text, "No number·[31m") || strings.ContainsAny(text, "\x1b\t") {
		t.Errorf("%q", text)
	}
	if text := w.must("", "waiting", id, "orders"); !strings.Contains(text, "  8   Milk   2  ") {
		t.Errorf("%s", text)
	}
	// Once more, from the beginning.
	if text := w.must("", "run", "Shop", "-full"); !strings.Contains(text, "(all records anew)") || fields(text, "orders") != "orders 2 0 0 0 1 0 1 0 0 0" {
		t.Errorf("%s", text)
	}
	text = w.must("", "report", id)
	if !strings.Contains(text, "(all records anew)") || !strings.Contains(text, "EARLIER RUN") {
		t.Errorf("%s", text)
	}
	earlier := strings.Fields(text[strings.LastIndex(text, "MISMATCHED\n")+len("MISMATCHED\n"):])
	if text := w.must("", "report", id, earlier[0]); !strings.Contains(text, "run "+earlier[0]) || !strings.Contains(text, "(changes)") {
		t.Errorf("%s", text)
	}
	if _, err := w.does("", "report", id, "0000000000001"); !refused(err, core.NotFound, "run") {
		t.Errorf("%v", err)
	}
	w.must("", "delete", id)
	if _, err := w.does("", "show", id); !refused(err, core.NotFound, "source") {
		t.Errorf("%v", err)
	}
}

func TestARunThatFailsSaysWhyAndShowsNoSecret(t *testing.T) {
	w := newWorld(t)
	id := w.added()
	w.must(`{"key":"`+secretKey+`-wrong"}`, "credentials", id, "api_key")
	text, err := w.does("", "run", id)
	if err == nil || !strings.Contains(text, "Failed in customers (credentials): ") {
		t.Errorf("%v\n%s", err, text)
	}
	if strings.Contains(text, secretKey) {
		t.Errorf("it shows the key:\n%s", text)
	}
	if got := fields(w.must("", "list"), id); !strings.Contains(got, "failed: credentials") {
		t.Errorf("%s", got)
	}
	if text, err := w.does("", "check", id); err == nil || strings.Contains(text+err.Error(), secretKey) {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestTheOperatorStoresAppsForAllWorkspaces(t *testing.T) {
	w := newWorld(t)
	do := func(in string, args ...string) (text string, err error) {
		err = w.Do(t.Context(), "", args, strings.NewReader(in), func(e Event) error { text += e.Text; return nil }) // in no workspace
		return text, err
	}
	if text, err := do("", "apps"); err != nil || fields(text, "club") != "club Club none -" || strings.Contains(text, "shop") {
		t.Errorf("%v\n%s", err, text)
	}
	for _, c := range []struct {
		in    string
		args  []string
		code  core.Code
		field string
	}{
		{`{}`, []string{"app", "club"}, core.MissingField, "app.client_id"},
		{`{"client_id":"x","client_secret":1}`, []string{"app", "club"}, core.WrongType, "app.client_secret"},
		{secretKey, []string{"app", "club"}, core.Malformed, "app"},
		{`{}`, []string{"app", "shop"}, core.Conflicting, "connector"},
		{`{}`, []string{"app", "nothing"}, core.NotFound, "connector"},
		{``, []string{"delete-app", "club"}, core.NotFound, "connector"},
		{``, []string{"list"}, core.NotFound, "workspace"},
	} {
		if _, err := do(c.in, c.args...); !refused(err, c.code, c.field) || strings.Contains(err.Error(), secretKey) {
			t.Errorf("%v < %s: %v, want %s of %s", c.args, c.in, err, c.code, c.field)
		}
	}
	text, err := do(`{"client_id":"the-app","client_secret":"`+secretKey+`"}`, "app", "club")
	if err != nil || !strings.Contains(text, "Stored the app for club") || strings.Contains(text, secretKey) {
		t.Errorf("%v\n%s", err, text)
	}
	if text, err := do("", "apps"); err != nil || !strings.HasPrefix(fields(text, "club"), "club Club stored 20") || strings.Contains(text, "the-app") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err := do("", "delete-app", "club"); err != nil {
		t.Error(err)
	}
	if text, err := do("", "apps"); err != nil || fields(text, "club") != "club Club none -" {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestSettingsAreMergedAndWhatCannotBeIsNamed(t *testing.T) {
	w := newWorld(t)
	id := w.added()
	before := w.shown(id)
	w.must(`{"name":"Tea","every":120,"streams":{"orders":false},"filter":{"conditions":[]},"id":"other","created":1}`, "set", id)
	got := w.shown(id)
	if got.ID != id || got.Created != before.Created || got.Name != "Tea" || got.Every != 120 || got.Streams["orders"] || got.Settings["site"] != "tea" || got.Filter == nil {
		t.Errorf("%+v", got)
	}
	w.must(`{"streams":null,"filter":null,"settings":{"site":"milk"}}`, "set", "tea")
	if got = w.shown(id); got.Streams != nil || got.Filter != nil || !reflect.DeepEqual(got.Settings, map[string]string{"site": "milk"}) || got.Every != 120 {
		t.Errorf("%+v", got)
	}
	for _, c := range []struct {
		in    string
		args  []string
		code  core.Code
		field string
	}{
		{`{"connector":"nothing"}`, []string{"add"}, core.NotAChoice, "connector"},
		{`{"connector":"shop"}`, []string{"add"}, core.MissingField, "settings.site"},
		{`{"connector":"shop","colour":1}`, []string{"add"}, core.UnknownField, "colour"},
		{`{"connector":"shop","every":"often"}`, []string{"add"}, core.WrongType, "every"},
		{`[]`, []string{"add"}, core.Malformed, "source"},
		{`{} {}`, []string{"add"}, core.Malformed, "source"},
		{`{"every":1}`, []string{"set", id}, core.OutOfRange, "every"},
		{`{"settings":{"site":null}}`, []string{"set", id}, core.MissingField, "settings.site"},
		{`{"key":1}`, []string{"credentials", id, "api_key"}, core.WrongType, "credentials.key"},
		{secretKey, []string{"credentials", id, "api_key"}, core.Malformed, "credentials"},
		{`{}`, []string{"credentials", id, "api_key"}, core.MissingField, "credentials.key"},
		{`{}`, []string{"credentials", id, "password"}, core.NotAChoice, "auth"},
		{``, []string{"run", "nobody"}, core.NotFound, "source"},
		{``, []string{"run", id, "-all"}, core.Malformed, ""},
		{``, []string{"preview", id, "nothing"}, core.NotFound, "stream"},
		{``, []string{"waiting", id, "nothing"}, core.NotFound, "stream"},
		{``, []string{"import", id, "nothing"}, core.NotFound, "stream"},
		{``, []string{"connectors", "nothing"}, core.NotAChoice, "connector"},
		{``, []string{"money", "EUR", "USD"}, core.Malformed, "rates"},
		{``, []string{"dance"}, core.Malformed, ""},
		{``, []string{"list", "all"}, core.Malformed, ""},
		{``, nil, core.Malformed, ""},
	} {
		if _, err := w.does(c.in, c.args...); !refused(err, c.code, c.field) || strings.Contains(err.Error(), secretKey) {
			t.Errorf("%v < %s: %v, want %s of %s", c.args, c.in, err, c.code, c.field)
		}
	}
	if err := w.Do(t.Context(), "other", []string{"list"}, nil, nil); !refused(err, core.NotFound, "workspace") {
		t.Errorf("%v", err)
	}
	w.must(`{"connector":"shop","name":"TEA","prefix":"x-","settings":{"site":"tea"}}`, "add")
	if _, err := w.does("", "run", "Tea"); !refused(err, core.NotUnique, "source") || !strings.Contains(err.Error(), id) {
		t.Errorf("%v", err)
	}
}

func TestExportedRecordsAreImportedWithTheirProgress(t *testing.T) {
	w := newWorld(t)
	w.must(`{"connector":"closed","name":"Old","settings":{"site":"tea"},"system_of_record":true}`, "add")
	var told []Progress
	var text strings.Builder
	err := w.Do(t.Context(), "acme", []string{"import", "Old", "customers"}, strings.NewReader(`[{"id":1,"number":"a1","name":"A","joined":"2024-01-01"}]`), func(e Event) error {
		if e.Progress != nil {
			told = append(told, *e.Progress)
		}
		text.WriteString(e.Text)
		return nil
	})
	if err != nil || !reflect.DeepEqual(told, []Progress{{"customers", 1}}) || fields(text.String(), "customers") != "customers 1 0 1 0 0 0 0 0 0 0" {
		t.Errorf("%v, %v\n%s", err, told, text.String())
	}
	if text, err := w.does(`[{"id":`, "import", "Old", "customers"); err == nil || !strings.Contains(text, "Failed in customers (answer): ") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err := w.does("", "run", "Old"); !refused(err, core.Conflicting, "source") {
		t.Errorf("%v", err)
	}
	if text := w.must("", "list"); !strings.Contains(text, "  Old (System of Record)  Closed Shop  imports  -            failed: answer  20") || !strings.Contains(text, "  -           0\n") {
		t.Errorf("%s", text)
	}
	if got := fields(w.must("", "connectors"), "closed"); got != "closed Closed Shop Customer support ended 2020: imports only" {
		t.Errorf("%s", got)
	}
	if text := w.must("", "connectors", "shop"); !strings.Contains(text, "required, secret  Key: made under Settings\n") || !strings.Contains(text, "best  Number: of customers\n") ||
		!strings.Contains(text, "orders     Orders     support_tickets\n") {
		t.Errorf("%s", text)
	}
}

func TestAmountsAreInTheCurrencyThatWasSaid(t *testing.T) {
	w := newWorld(t)
	if text := w.must("", "money"); text != "Amounts are in USD\n" {
		t.Errorf("%s", text)
	}
	const want = "Amounts are in EUR\n1 GBP = 1.15 EUR\n1 USD = 0.9 EUR\n"
	if text := w.must("", "money", "EUR", "USD=0.9", "GBP=1.15"); text != want {
		t.Errorf("%s", text)
	}
	if _, err := w.does("", "money", "EUR", "USD=much"); err == nil {
		t.Error("a rate that is none is taken")
	}
	if text := w.must("", "money"); text != want {
		t.Errorf("%s", text)
	}
}

// TestWhereSomebodyElseRunsSourcesACommandOnlyWatches has the store begin runs by
// itself, as the running product does.
func TestWhereSomebodyElseRunsSourcesACommandOnlyWatches(t *testing.T) {
	w := newWorld(t)
	id := w.added()
	var progress []Progress
	w.hold = make(chan struct{})
	ran := make(chan error, 1)
	w.Store.Start = func(_ context.Context, workspace, id string) error {
		go func() {
			_, err := w.Store.Run(context.WithoutCancel(t.Context()), workspace, id)
			ran <- err
		}()
		return nil
	}
	released := false
	err := w.Do(t.Context(), "acme", []string{"run", id}, nil, func(e Event) error {
		if e.Progress != nil {
			progress = append(progress, *e.Progress)
			if !released {
				released = true
				close(w.hold)
			}
		}
		return nil
	})
	if err != nil || len(progress) == 0 || progress[0] != (Progress{"customers", 2}) {
		t.Errorf("%v, %v", err, progress)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
	// A run that is under way is waited for, and another one follows.
	w.hold = make(chan struct{})
	if err := w.Store.Ask(t.Context(), "acme", id, false); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		if last, err := (&command{Commands: w.Commands, workspace: "acme"}).latest(t.Context(), &sources.Source{ID: id}); err != nil || n > 2000 {
			t.Fatal(n, err)
		} else if last.Outcome == sources.UnderWay {
			break
		}
		time.Sleep(time.Millisecond)
	}
	run := w.Store.Start
	w.Store.Start = func(ctx context.Context, workspace, id string) error {
		close(w.hold)
		if err := <-ran; err != nil {
			return err
		}
		return run(ctx, workspace, id)
	}
	if text := w.must("", "run", id); !strings.Contains(text, "A run is under way") {
		t.Errorf("%s", text)
	}
	<-ran
	if runs, err := w.Store.Runs(t.Context(), "acme", id, "", 10); err != nil || len(runs) != 3 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}

func TestACommandThatIsInterruptedGivesBackTheLock(t *testing.T) {
	w := newWorld(t)
	id := w.added()
	w.hold = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	err := w.Do(ctx, "acme", []string{"run", id}, nil, func(e Event) error {
		if e.Progress != nil {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	lock, err := w.Store.Access.Lock(t.Context(), access.LockID("source/acme/"+id), time.Minute, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.does("", "import", id, "customers"); !refused(err, core.Conflicting, "source") {
		t.Errorf("%v", err)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(w.hold)
	if text := w.must("", "run", id); fields(text, "orders") == "" {
		t.Errorf("%s", text)
	}
}

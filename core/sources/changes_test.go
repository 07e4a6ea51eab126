package sources_test

import (
	"errors"
	"reflect"
	"testing"

	"tenure/core"
	"tenure/core/sources"
)

// refusedAt checks that an error is a refusal that names a field.
func refusedAt(t *testing.T, err error, field string) {
	t.Helper()
	if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Field != field || failure.Code != core.Conflicting {
		t.Errorf("%v, want a conflict at %s", err, field)
	}
}

func TestTheSecondOfTwoChangesAtOnceIsRefused(t *testing.T) {
	w := newWorld(t)
	id := w.source("one", sor).ID
	var seen [2]*sources.Source
	for i := range seen {
		var err error
		if seen[i], err = w.Get(t.Context(), "acme", id); err != nil {
			t.Fatal(err)
		}
	}
	if seen[0].Version() != seen[1].Version() {
		t.Errorf("%s and %s are the same state", seen[0].Version(), seen[1].Version())
	}
	seen[0].Name, seen[1].Name = "first", "second"
	if err := w.Update(t.Context(), "acme", seen[0]); err != nil {
		t.Fatal(err)
	}
	refusedAt(t, w.Update(t.Context(), "acme", seen[1]), "source")
	now, err := w.Get(t.Context(), "acme", id)
	if err != nil || now.Name != "first" || now.Version() != seen[0].Version() || now.Version() == seen[1].Version() {
		t.Errorf("%+v, %v", now, err)
	}

	// So it is with money; who has not looked at it sets it whatever it was.
	if err := w.SetMoney(t.Context(), "acme", sources.Money{Currency: "USD"}); err != nil {
		t.Fatal(err)
	}
	money, err := w.Money(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	money.Currency = "EUR"
	if err := w.SetMoney(t.Context(), "acme", money); err != nil {
		t.Fatal(err)
	}
	money.Currency = "GBP"
	refusedAt(t, w.SetMoney(t.Context(), "acme", money), "version")
	if after, err := w.Money(t.Context(), "acme"); err != nil || after.Currency != "EUR" || after.Version() == money.Version() {
		t.Errorf("%+v, %v", after, err)
	}
	if err := w.SetMoney(t.Context(), "acme", sources.Money{Currency: "JPY"}); err != nil {
		t.Error(err)
	}
}

func TestCredentialsThatAreSharedAreTheirOwnersOwn(t *testing.T) {
	w := newWorld(t)
	owner := w.source("one", sor)
	user := w.source("two", func(s *sources.Source) { s.Prefix, s.Credentials = "two-", owner.ID })
	third := w.source("three", func(s *sources.Source) { s.Prefix = "three-" })
	owner.Credentials = third.ID
	refusedAt(t, w.Update(t.Context(), "acme", owner), "credentials")
	user.Credentials = third.ID
	if err := w.Update(t.Context(), "acme", user); err != nil {
		t.Error(err)
	}
	if err := w.Update(t.Context(), "acme", owner); err != nil {
		t.Errorf("nobody uses those of the first one any more: %v", err)
	}
}

func TestStreamsThatAreTurnedOnAndOff(t *testing.T) {
	var s sources.Source
	for _, step := range []struct {
		name         string
		optional, on bool
		want         map[string]bool
	}{
		{"people", false, true, nil},
		{"people", false, false, map[string]bool{"people": false}},
		{"notes", true, true, map[string]bool{"people": false, "notes": true}},
		{"people", false, true, map[string]bool{"notes": true}},
		{"notes", true, false, map[string]bool{}},
	} {
		if s.Turn(step.name, step.optional, step.on); s.On(step.name, step.optional) != step.on || !reflect.DeepEqual(s.Streams, step.want) {
			t.Errorf("%+v: %v", step, s.Streams)
		}
	}
}

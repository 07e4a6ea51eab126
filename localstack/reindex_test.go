package main

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tenure/core/access"
	"tenure/core/accounts"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/table/embedded"
)

// writeAsBefore leaves an account and a user in a data directory as versions
// without lookups wrote them.
func writeAsBefore(t *testing.T, dir string) {
	t.Helper()
	store, err := embedded.Open(filepath.Join(dir, "table"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := access.New(store, nil).EnsureWorkspace(t.Context(), "test", testKey); err != nil {
		t.Fatal(err)
	}
	root := *accounts.Family
	root.Lookups = nil
	engine := resource.New(resource.Config{Table: store, Root: &root})
	users := *people.Users
	users.Lookups = nil
	for _, of := range []struct {
		f    *resource.Family
		text string
	}{
		{&root, `{"account_id":"a","name":"n","join_date":1,"crm_account_id":"crm-a"}`},
		{&users, `{"account_id":"a","user_id":"u","first_name":"A","last_name":"B","email":"ann@example.com"}`},
	} {
		patch, failure := of.f.Schema.Decode([]byte(of.text), false)
		if failure != nil {
			t.Fatal(failure)
		}
		result, err := engine.Upload(t.Context(), resource.Upload{Workspace: "test", Family: of.f,
			Records: slices.Values([]func() resource.Input{func() resource.Input { return resource.Input{Patch: patch} }})})
		if err != nil || result.Inserted != 1 {
			t.Fatalf("%+v, %v", result, err)
		}
	}
}

func TestRecordsFromBeforeAreFoundByTheirValuesAfterTheFirstStart(t *testing.T) {
	dir := t.TempDir()
	writeAsBefore(t, dir)
	for started := range 2 {
		p := start(t, "DATA_DIR="+dir)
		for path, body := range map[string]string{
			"/search/accounts":      `{"records":[{"attribute":"crm_account_id","value":"crm-a"}]}`,
			"/search/account_users": `{"records":[{"attribute":"email","value":"ann@example.com"}]}`,
		} {
			if got := string(p.done(testKey, http.MethodPost, path, body).raw); strings.Count(got, `"account_id":"a"`) != 1 {
				t.Errorf("started %d times: %s finds %.200s", started+1, path, got)
			}
		}
		said := strings.Join(p.printed, "\n")
		if first := strings.Contains(said, "pointers to accounts of test that were missing: 1") && strings.Contains(said, "pointers to account_users of test that were missing: 1"); first != (started == 0) {
			t.Errorf("started %d times, it says\n%s", started+1, said)
		}
		p.terminate()
		p.ends(0)
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/connector"
	"tenure/core/connector/connectortest"
	"tenure/core/connectors"
	"tenure/core/connectors/standins"
	"tenure/core/mapping"
	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/sources"
	"tenure/core/table"
	"tenure/core/table/embedded"
	"tenure/core/usage"
)

// The story of the README: four systems and an export, of which one account after
// the other is made right. The systems' stand-ins answer from these records.
var story = map[string]map[string]string{
	"salesforce": {
		"users": `[{"Id": "0055e000001aMiaAAE", "CreatedDate": "2024-01-01T00:00:00.000+0000", "SystemModstamp": "2024-01-01T00:00:00.000+0000", "Email": "mia@tenure.example", "FirstName": "Mia", "LastName": "Moss", "IsActive": true, "Username": "mia"}]`,
		// Acme and Beta are customers, Gamma has no account_id, Delta does not pay yet.
		"accounts": `[` + storyAccount("0015e00000Acme1AAB", "Acme", `"1042"`) + `,` + storyAccount("0015e00000Beta2AAD", "Beta", `"2001"`) + `,` +
			storyAccount("0015e00000Gamm3AAF", "Gamma", `null`) + `,` + storyAccount("0015e00000Delt4AAH", "Delta", `"3001"`) + `]`,
		"contacts": `[` + storyContact("0035e00000Ann01AAA", "0015e00000Acme1AAB", "Ann", "Lee", "ann@acme.example") + `,` + storyContact("0035e00000Bob02AAC", "0015e00000Beta2AAD", "Bob", "Ray", "Bob@Beta.example") + `]`,
	},
	"zuora": {
		"accounts": `[{"Id": "2c92a0f1", "Name": "Acme Inc", "AccountNumber": "A00000001", "CrmId": "0015e00000Acme1AAB", "Currency": "USD", "Status": "Active", "NateroId__c": "1042", "CreatedDate": "2024-01-05T00:00:00.000+00:00", "UpdatedDate": "2024-02-01T00:00:00.000+00:00"},
			{"Id": "2c92a0f2", "Name": "Beta GmbH", "AccountNumber": "A00000002", "CrmId": "0015e00000Beta2AAD", "Currency": "USD", "Status": "Active", "NateroId__c": "2001", "CreatedDate": "2024-01-05T00:00:00.000+00:00", "UpdatedDate": "2024-02-01T00:00:00.000+00:00"}]`,
		"subscriptions": `[` + storySubscription("2c92s0f1", "2c92a0f1", "A-S00000001") + `,` + storySubscription("2c92s0f2", "2c92a0f2", "A-S00000002") + `]`,
		"latest":        `[` + storyLatest("2c92s0f1", "2c92a0f1", "A-S00000001", "1000.005") + `,` + storyLatest("2c92s0f2", "2c92a0f2", "A-S00000002", "49.9") + `]`,
	},
	"zendesk": {
		"organizations": `[{"id": 71, "external_id": "1042", "name": "Acme", "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"}, {"id": 72, "external_id": "4711", "name": "Who", "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"}]`,
		"users":         `[{"id": 81, "email": "ann@acme.example", "name": "Ann Lee", "role": "agent", "organization_id": 71, "active": true, "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"}]`,
		"tickets":       `[` + storyTicket(501, "71", "It is down") + `,` + storyTicket(502, "72", "Hello?") + `]`,
	},
	"stripe": {
		"customers": `[{"id": "cus_ann", "object": "customer", "name": "Ann Lee", "email": "ANN@acme.example", "phone": null, "description": null, "created": 1700000000, "livemode": true, "metadata": {}},
			{"id": "cus_who", "object": "customer", "name": "Who", "email": "who@nowhere.example", "phone": null, "description": null, "created": 1700000000, "livemode": true, "metadata": {}}]`,
		"invoices": `[{"id": "in_77", "object": "invoice", "customer": "cus_ann", "number": "77", "status": "paid", "currency": "usd", "total": 4000, "attempted": true, "created": 1700000000, "due_date": null, "livemode": true,
			"status_transitions": {"finalized_at": 1700000100, "paid_at": 1700000200}, "lines": {"object": "list", "has_more": false, "data": [{"id": "il", "object": "line_item", "amount": 4000, "currency": "usd", "description": "Gold", "type": "subscription"}]}}]`,
	},
}

const delightedExport = `[{"id": "1", "person": {"id": "9", "name": "Ann Lee", "email": "ann@acme.example"}, "survey_type": "nps", "score": 9, "comment": "Great service", "created_at": 1713418460, "updated_at": null, "person_properties": null, "notes": [], "tags": []},
	{"id": "2", "person": {"id": "8", "name": "Bob Ray", "email": "bob@beta.example"}, "survey_type": "nps", "score": 3, "comment": null, "created_at": 1713418460, "updated_at": null, "person_properties": null, "notes": [], "tags": []}]`

func storyAccount(id, name, field string) string {
	return fmt.Sprintf(`{"attributes": {"type": "Account"}, "Id": %q, "Name": %q, "Natero_Account_Id__c": %s, "CreatedDate": "2024-01-02T03:04:05.000+0000", "SystemModstamp": "2024-03-05T10:11:12.000+0000", "OwnerId": "0055e000001aMiaAAE", "IsDeleted": false,
		"ParentId": null, "Parent": null, "Industry": "Media", "NumberOfEmployees": 85}`, id, name, field)
}

func storyContact(id, account, first, last, email string) string {
	return fmt.Sprintf(`{"attributes": {"type": "Contact"}, "Id": %q, "AccountId": %q, "FirstName": %q, "LastName": %q, "Email": %q, "CreatedDate": "2024-01-02T03:04:05.000+0000", "SystemModstamp": "2024-03-05T10:11:12.000+0000",
		"OwnerId": "0055e000001aMiaAAE", "IsDeleted": false}`, id, account, first, last, email)
}

func storySubscription(id, account, number string) string {
	return fmt.Sprintf(`{"Id": %q, "OriginalId": null, "AccountId": %q, "Name": %q, "Version": 1, "Status": "Active", "CreatedDate": "2024-01-10T00:00:00.000+00:00", "UpdatedDate": "2024-02-01T00:00:00.000+00:00"}`, id, account, number)
}

func storyLatest(id, account, number, mrr string) string {
	return fmt.Sprintf(`{"id": %q, "accountId": %q, "subscriptionNumber": %q, "version": 1, "status": "Active", "termType": "TERMED", "subscriptionStartDate": "2024-01-10", "termStartDate": "2026-01-10", "termEndDate": "2027-01-10",
		"autoRenew": true, "currency": "USD", "contractedMrr": %s, "ratePlans": [{"id": "r", "productName": "Gold", "ratePlanName": "Annual", "ratePlanCharges": []}]}`, id, account, number, mrr)
}

func storyTicket(id int, organization, subject string) string {
	return fmt.Sprintf(`{"id": %d, "organization_id": %s, "requester_id": null, "assignee_id": 81, "subject": %q, "description": "…", "status": "open", "priority": "high", "type": "incident",
		"created_at": "2024-06-01T00:00:00Z", "updated_at": "2024-06-02T00:00:00Z", "generated_timestamp": 1717286400, "satisfaction_rating": null}`, id, organization, subject)
}

// standIn returns a stand-in of a system that answers from records, by the names of
// its lists, and from none in the others.
func standIn(t *testing.T, name, auth string, records map[string]string) *connectortest.Server {
	t.Helper()
	dir := os.DirFS("../core/connectors/testdata/" + name)
	files := fstest.MapFS{}
	names, err := fs.Glob(dir, "records/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(names, "connection.json") {
		text, err := fs.ReadFile(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(strings.TrimSpace(string(text)), "[") {
			text = []byte("[]")
		}
		files[file] = &fstest.MapFile{Data: text}
	}
	for list, text := range records {
		files["records/"+list+".json"] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := connectortest.NewServer(files, standins.All[name], auth)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// outside is all other systems there are.
type outside map[string]*connectortest.Server

func (o outside) RoundTrip(r *http.Request) (*http.Response, error) {
	for name, s := range o {
		if strings.HasSuffix(r.URL.Hostname(), name+".com") {
			return s.RoundTrip(r)
		}
	}
	return nil, fmt.Errorf("nobody is at %s", r.URL.Host)
}

// written counts writes to records of ours.
type written struct {
	table.Table
	n *atomic.Int64
}

func (w written) count(ops []table.Op) {
	for _, op := range ops {
		if !strings.Contains(op.Item.Partition, "/sources") && !strings.HasPrefix(op.Item.Partition, "~locks") {
			w.n.Add(1)
		}
	}
}

func (w written) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	w.count(ops)
	return w.Table.Write(ctx, ops, guard)
}

func (w written) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	w.count(ops)
	return w.Table.Transact(ctx, ops, guard)
}

// TestTheStoryOfFiveSystems has Salesforce as the System of Record, filtered to
// accounts that Zuora knows too; subscriptions from Zuora, tickets from Zendesk,
// invoices from Stripe by e-mail, and scores from an export of Delighted.
func TestTheStoryOfFiveSystems(t *testing.T) {
	store, err := embedded.Open(t.TempDir(), embedded.Options{Feed: rollup.Concerns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	var writes atomic.Int64
	counted := written{store, &writes}
	keys := access.New(store, nil)
	const key = "fake-key-of-the-story-0123456789abcdef"
	if err := keys.EnsureWorkspace(t.Context(), "acme", key); err != nil {
		t.Fatal(err)
	}
	sealing, err := keyfile.Open(path.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	handler, err := api.New(api.Config{Engine: resource.New(resource.Config{Table: store, Root: catalog.Root}), Access: keys, Timeout: time.Minute}, catalog.All())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	systems := outside{}
	for name, auth := range map[string]string{"salesforce": "oauth", "zuora": "oauth", "zendesk": "api_token", "stripe": "api_key"} {
		systems[name] = standIn(t, name, auth, story[name])
	}
	s := sources.New(sources.Config{
		Table: counted, Engine: resource.New(resource.Config{Table: counted, Root: catalog.Root}), Access: keys, Sealer: secrets.New(sealing),
		Connectors: connectors.All(), Families: catalog.All(), Transport: systems, Sleep: func(context.Context, time.Duration) error { return nil },
	})
	derived := resource.New(resource.Config{Table: store, Root: catalog.Root})
	derive := rollup.New(derived, usage.New(usage.Config{Table: store, Engine: derived}))

	add := func(name, auth string, change func(*sources.Source)) *sources.Source {
		t.Helper()
		source := &sources.Source{Name: name, Connector: name}
		if auth == "" {
			change(source)
			if err := s.Create(t.Context(), "acme", source); err != nil {
				t.Fatal(err)
			}
			return source
		}
		c, err := connectortest.ReadConnection(os.DirFS("../core/connectors/testdata/" + name))
		if err != nil {
			t.Fatal(err)
		}
		source.Settings = c.Settings
		change(source)
		if err := s.Create(t.Context(), "acme", source); err != nil {
			t.Fatal(err)
		}
		if err := s.SetCredentials(t.Context(), "acme", source, auth, c.Auth[auth], "ann@example.com"); err != nil {
			t.Fatal(err)
		}
		if c.Kept != nil {
			if err := s.SetToken(t.Context(), "acme", source, &connector.Token{Access: "secret-access-0", Refresh: "secret-refresh-0", Kept: c.Kept}, "ann@example.com"); err != nil {
				t.Fatal(err)
			}
		}
		return source
	}
	zuora := add("zuora", "oauth", func(*sources.Source) {})
	salesforce := add("salesforce", "oauth", func(source *sources.Source) {
		source.SystemOfRecord = true
		source.Filter = &sources.Filter{Conditions: []mapping.Condition{{Path: ".Industry", Operator: "eq", Value: "Media"}}, AlsoIn: &sources.AlsoIn{Source: zuora.ID}}
		// Tickets come from Zendesk.
		source.Streams = map[string]bool{"cases": false}
	})
	zendesk := add("zendesk", "api_token", func(*sources.Source) {})
	stripe := add("stripe", "api_key", func(source *sources.Source) {
		source.Location, source.Prefix = "email", "stripe-"
		source.Streams = map[string]bool{"subscriptions": false} // Zuora has them
	})
	delighted := add("delighted", "", func(*sources.Source) {})

	run := func(source *sources.Source) *sources.Run {
		t.Helper()
		if err := s.Ask(t.Context(), "acme", source.ID, false); err != nil {
			t.Fatal(err)
		}
		for more := true; more; {
			var err error
			if more, err = s.Run(t.Context(), "acme", source.ID); err != nil {
				t.Fatal(err)
			}
		}
		runs, err := s.Runs(t.Context(), "acme", source.ID, "", 1)
		if err != nil || runs[0].Outcome != sources.Done {
			t.Fatalf("%s: %v, %+v", source.Name, err, runs[0].Why)
		}
		return runs[0]
	}
	all := func() {
		t.Helper()
		// Zuora comes first, so that Salesforce is filtered by what it knows, and once
		// more when there are accounts for what it has.
		for _, source := range []*sources.Source{zuora, salesforce, zuora, zendesk, stripe} {
			run(source)
		}
		if r, err := s.Import(t.Context(), "acme", delighted.ID, "survey_responses", strings.NewReader(delightedExport), nil); err != nil || r.Outcome != sources.Done {
			t.Fatalf("%v, %+v", err, r)
		}
	}
	all()
	if err := (&feed{store: store, rollup: derive}).follower(rollup.Concerns, derive.TickAll).changes(t.Context()); err != nil {
		t.Fatal(err)
	}

	get := func(path string) (answer map[string]any) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+api.BasePath+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("api", key)
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err == nil {
			err = json.Unmarshal(text, &answer)
		}
		if err != nil || answer["status_is_ok"] != true {
			t.Fatalf("%s: %v: %s", path, err, text)
		}
		return answer
	}
	first := func(path string) map[string]any {
		t.Helper()
		results, _ := get(path)["results"].([]any)
		if len(results) != 1 {
			t.Fatalf("%s: %v", path, results)
		}
		return results[0].(map[string]any)
	}
	if total := len(get("/accounts")["results"].([]any)); total != 2 {
		t.Errorf("there are %d accounts", total)
	}
	for id, want := range map[string]map[string]any{
		"1042": {"name": "Acme", "join_date": 1704164645000.0, "crm_account_id": "0015e00000Acme1AAB", "billing_account_id": "2c92a0f1", "support_account_id": "71", "current_mrr": 100001.0, "current_nps_score": 100.0, "source": "Salesforce", "sales_rep_email": "mia@tenure.example", "employees": 85.0},
		"2001": {"name": "Beta", "join_date": 1704164645000.0, "crm_account_id": "0015e00000Beta2AAD", "billing_account_id": "2c92a0f2", "support_account_id": nil, "current_mrr": 4990.0, "current_nps_score": -100.0, "source": "Salesforce", "sales_rep_email": "mia@tenure.example", "employees": 85.0},
	} {
		got := first("/accounts/" + id)
		for field, value := range want {
			if got[field] != value {
				t.Errorf("%s of %s is %v, and must be %v", field, id, got[field], value)
			}
		}
	}
	if got := first("/support_tickets/501"); got["account_id"] != "1042" || got["assignee_email"] != "ann@acme.example" || got["source"] != "Zendesk" {
		t.Errorf("the ticket is %v", got)
	}
	if got := first("/statements/stripe-in_77"); got["account_id"] != "1042" || got["recurring"] != 4000.0 || got["paid_date"] != 1700000200000.0 {
		t.Errorf("the invoice is %v", got)
	}

	// What is wrong on purpose: an account without an account_id, an organization that
	// nobody knows (and its ticket with it), and a customer whose address nobody has.
	var mismatches []string
	for _, source := range []*sources.Source{salesforce, zuora, zendesk, stripe, delighted} {
		for _, st := range s.Connector(source.Connector).Streams {
			waiting, _, err := s.WaitingRecords(t.Context(), "acme", source.ID, st.Name, "", 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range waiting {
				mismatches = append(mismatches, fmt.Sprintf("%s %s %s: %s %s", source.Name, st.Name, w.ID, w.Trouble, w.Value))
			}
		}
	}
	slices.Sort(mismatches)
	want := []string{
		"salesforce accounts 0015e00000Delt4AAH: filtered 3001",
		"salesforce accounts 0015e00000Gamm3AAF: mismatch 0015e00000Gamm3AAF",
		"stripe customers cus_who: mismatch who@nowhere.example",
		"zendesk organizations 72: mismatch 4711",
		"zendesk tickets 502: mismatch 4711",
	}
	if !slices.Equal(mismatches, want) {
		t.Errorf("there wait\n%s\nand must\n%s", strings.Join(mismatches, "\n"), strings.Join(want, "\n"))
	}

	before := writes.Load()
	all()
	if n := writes.Load() - before; n > 0 {
		t.Errorf("the second time %d records are written", n)
	}
}

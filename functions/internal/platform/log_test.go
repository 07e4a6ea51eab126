package platform

import (
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

func TestARequestIsOneLineOfLogAndMeasurements(t *testing.T) {
	w := newWorld(t, nil)
	w.send("accounts", "POST", "/accounts?api_key="+testKey, `{"records":[{"account_id":"someone@example.com","name":"N","join_date":1},{"account_id":"b"}]}`)
	text := w.logged.String()
	lines := w.lines("request")
	if len(lines) != 1 {
		t.Fatalf("%d lines: %s", len(lines), text)
	}
	for name, want := range map[string]any{
		"level": "INFO", "Function": "test", "Deployment": "d", "method": "POST", "route": "/accounts", "workspace": "acme",
		"status": 200.0, "ok": true, "Requests": 1.0, "ServerErrors": 0.0, "Refusals": 0.0,
		"RecordsInserted": 1.0, "RecordsChanged": 0.0, "RecordsUnchanged": 0.0, "RecordsFailed": 1.0,
	} {
		if lines[0][name] != want {
			t.Errorf("%s is %v, want %v", name, lines[0][name], want)
		}
	}
	if n, _ := lines[0]["BodyBytes"].(float64); n < 90 {
		t.Errorf("BodyBytes is %v", n)
	}
	if d, _ := lines[0]["Duration"].(float64); d <= 0 {
		t.Errorf("Duration is %v", d)
	}
	// What CloudWatch is told to read must be there, under those dimensions.
	emf, _ := lines[0]["_aws"].(map[string]any)
	if at, _ := emf["Timestamp"].(float64); at < 1e12 {
		t.Errorf("_aws is %v", emf)
	}
	directive := emf["CloudWatchMetrics"].([]any)[0].(map[string]any)
	for _, d := range directive["Dimensions"].([]any)[0].([]any) {
		if _, ok := lines[0][d.(string)].(string); !ok {
			t.Errorf("no dimension %s in the line", d)
		}
	}
	metrics := directive["Metrics"].([]any)
	if directive["Namespace"] != "Tenure" || len(metrics) < 9 {
		t.Errorf("directive %v", directive)
	}
	for _, m := range metrics {
		if _, ok := lines[0][m.(map[string]any)["Name"].(string)].(float64); !ok {
			t.Errorf("no measurement %v in the line", m)
		}
	}
}

func TestNothingPersonalAndNoKeyIsLogged(t *testing.T) {
	w := newWorld(t, nil)
	secret := []string{testKey, "someone", "secret-name"}
	w.send("accounts", "POST", "/accounts?api_key="+testKey, `{"records":[{"account_id":"someone@example.com","name":"secret-name","join_date":1}]}`)
	for _, path := range []string{"/accounts/someone@example.com", "/accounts/someone-else?api_key=" + testKey, "/accounts?order_by=secret-name"} {
		w.send("accounts", "GET", path, "")
	}
	w.send("accounts", "PUT", "/accounts/someone@example.com", `{"data":{"name":"secret-name","employees":"secret-name"}}`)
	w.send("accounts", "DELETE", "/accounts/someone@example.com/documents/secret-name", "")
	w.send("accounts", "PATCH", "/accounts/someone@example.com", "")
	if n := strings.Count(w.logged.String(), "\n"); n < 6 {
		t.Errorf("%d lines", n)
	}
	for _, s := range secret {
		if strings.Contains(w.logged.String(), s) {
			t.Errorf("%q is in the log:\n%s", s, w.logged.String())
		}
	}
}

func TestRefusalsAndErrorsAreTold(t *testing.T) {
	w := newWorld(t, nil)
	w.send("accounts", "GET", "/accounts/unknown", "")
	if l := w.lines("request"); len(l) != 1 || l[0]["ok"] != false || l[0]["code"] != "not_found" || l[0]["route"] != "/accounts/{id}" || l[0]["Refusals"] != 1.0 {
		t.Errorf("%v", l)
	}
	w.send("accounts", "POST", "/accounts", `{"records":[{"account_id":"a"}]}`)
	if l := w.lines("request"); len(l) != 1 || l[0]["ok"] != false || l[0]["code"] != "missing_field" || l[0]["RecordsFailed"] != 1.0 {
		t.Errorf("%v", l)
	}
}

func TestLinesHaveTheIDOfTheCall(t *testing.T) {
	w := newWorld(t, nil)
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "id-1"})
	w.log.With("a", 1).WithGroup("g").WarnContext(ctx, "grouped")
	w.measured.emit(ctx, "measured", nil)
	if l := w.lines("measured"); len(l) != 1 || l[0]["request_id"] != "id-1" {
		t.Errorf("%v", l)
	}
}

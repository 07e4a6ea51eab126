package connectors

import (
	"fmt"
	"testing"

	"tenure/core/mapping"
)

func TestAnIDOfSalesforceHasEighteenCharacters(t *testing.T) {
	for in, want := range map[string]string{
		"70130000001tcyI":    "70130000001tcyIAAQ",
		"70130000001tcyIAAQ": "70130000001tcyIAAQ",
		"short":              "short",
	} {
		if got := id18(in); got != want {
			t.Errorf("%s: got %v, want %s", in, got, want)
		}
	}
}

func TestTheShareOfSalesforcesQuotaIsRead(t *testing.T) {
	p, err := mapping.Compile(salesforce.Limits.Usage, &mapping.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]any{
		"api-usage=80000/100000": 0.8,
		"api-usage=0/15000":      0,
		"per-app-api-usage=17/250(appName=sample); api-usage=25/50": 0.5,
		"per-app-api-usage=17/250(appName=sample)":                  nil,
	} {
		got, err := p.First(t.Context(), map[string]any{"sforce-limit-info": header})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, %v; want %v", header, got, err, want)
		}
	}
}

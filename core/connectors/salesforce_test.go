package connectors

import "testing"

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

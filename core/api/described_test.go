package api

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tenure/core/usage"
)

// described compares the members of a JSON object that a type makes with those that a
// schema has.
func described(t *testing.T, of reflect.Type, properties object) {
	t.Helper()
	var names []string
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		p, _ := properties[name].(object)
		if items, _ := p["items"].(object); f.Type.Kind() == reflect.Slice && items["$ref"] == nil {
			inner, _ := items["properties"].(object)
			described(t, f.Type.Elem(), inner)
		}
	}
	slices.Sort(names)
	if have := slices.Sorted(maps.Keys(properties)); !slices.Equal(have, names) {
		t.Errorf("%v has %v, described are %v", of, names, have)
	}
}

func TestEveryMemberOfAReportOfUsageIsDescribed(t *testing.T) {
	report, interval := usageSchemas()
	described(t, reflect.TypeFor[usage.Report](), report)
	described(t, reflect.TypeFor[usage.Usage](), interval["properties"].(object))
}

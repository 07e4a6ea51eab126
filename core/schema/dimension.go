package schema

// Dimensions declares the list of custom dimensions called name: keys that the
// client chooses, with one value each. value is what a value is, kind what the
// documentation calls them.
func Dimensions(name, kind string, value Field) Field {
	value.Name = "value"
	doc := "Custom " + kind + " dimensions, merged by key with those set before"
	if value.Required == Optional {
		doc += "; a null value is stored as null"
	}
	return Field{
		Name: name, Type: List, Key: []string{"key"}, Doc: doc,
		Sub: []Field{
			{Name: "key", Type: String, MaxLen: 256, Required: Always, Doc: "Name of the dimension"},
			value,
		},
	}
}

// IsDimensions reports whether the field is a list that Dimensions declares.
func (f *Field) IsDimensions() bool {
	return len(f.Sub) == 2 && f.Sub[0].Name == "key" && f.Sub[1].Name == "value"
}

// CustomDimensions declares the three lists of custom dimensions that accounts
// and people have: texts, numbers and instants. values says whether an entry
// must have a value.
func CustomDimensions(values Requirement) []Field {
	return []Field{
		Dimensions("custom_label_dimensions", "label", Field{Type: Label, MaxLen: 256, Required: values, Example: "mango", Doc: "Text of the dimension"}),
		Dimensions("custom_value_dimensions", "value", Field{Type: Double, Required: values, Example: "25", Doc: "Number of the dimension"}),
		Dimensions("custom_event_dimensions", "event", Field{Type: Time, Required: values, Example: "2026-10-01T09:00:00Z", Doc: "Instant of the dimension, in epoch ms"}),
	}
}

// As returns copies of fields that are shown as presence and form say.
func As(presence Presence, form Form, fields []Field) []Field {
	shown := make([]Field, len(fields))
	for i, f := range fields {
		f.Shown, f.Form = presence, form
		shown[i] = f
	}
	return shown
}

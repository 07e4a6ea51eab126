package sources

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tenure/core/mapping"
)

// Shape is what some values look like.
type Shape struct {
	// Shape says it in words.
	Shape string `json:"shape"`
	// Count is how many values look like that; Example is one of them.
	Count   int    `json:"count"`
	Example string `json:"example"`
}

const (
	// The shapes that say something by themselves.
	shapeDigits, shapeEmail, shapeUUID, shapeSpaced, shapeLetters = "digits alone", "e-mail addresses", "UUIDs", "words with spaces", "letters alone"

	// maxShapes is how many shapes are told.
	maxShapes = 5
	// maxRuns is by how many runs of letters, digits and signs a text is described.
	maxRuns = 7
)

var (
	uuidPattern  = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)
	emailPattern = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`)
)

// shapeOf says what a text looks like.
func shapeOf(text string) string {
	switch {
	case uuidPattern.MatchString(text):
		return shapeUUID
	case emailPattern.MatchString(text):
		return shapeEmail
	case strings.ContainsFunc(text, unicode.IsSpace):
		return shapeSpaced
	}
	kind := func(c rune) string {
		switch {
		case unicode.IsLetter(c):
			return "letters"
		case unicode.IsDigit(c):
			return "digits"
		}
		return "“" + string(c) + "”"
	}
	var runs []string
	changes := 0 // between letters and digits
	for _, c := range text {
		k, was := kind(c), ""
		if len(runs) > 0 {
			was = runs[len(runs)-1]
		}
		if k == "letters" && was == "digits" || k == "digits" && was == "letters" {
			changes++
		}
		if k != was {
			runs = append(runs, k)
		}
	}
	switch {
	case len(runs) == 1 && runs[0] == "digits":
		return shapeDigits
	case len(runs) == 1 && runs[0] == "letters":
		return shapeLetters
	case changes > 1, len(runs) > maxRuns:
		// Random ones are alike in their length alone.
		return strconv.Itoa(utf8.RuneCountInString(text)) + " letters and digits, mixed"
	}
	return strings.Join(runs, ", ")
}

// shapesOf returns what the texts that are not empty look like, the most frequent
// first.
func shapesOf(texts []string) []Shape {
	found := map[string]*Shape{}
	for _, text := range texts {
		if text == "" {
			continue
		}
		shape := shapeOf(text)
		if found[shape] == nil {
			found[shape] = &Shape{Shape: shape, Example: clip(text)}
		}
		found[shape].Count++
	}
	all := []Shape{}
	for _, shape := range found {
		all = append(all, *shape)
	}
	slices.SortFunc(all, func(a, b Shape) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Shape, b.Shape)) })
	return all[:min(len(all), maxShapes)]
}

// Telling is a field by which records may be told apart.
type Telling struct {
	// Path is the expression that yields it.
	Path string `json:"path"`
	// Values are all there were, the most frequent first.
	Values []TellingValue `json:"values"`
}

// TellingValue is one value of a field.
type TellingValue struct {
	// Value is the value as text; None says that there was none.
	Value string `json:"value,omitempty"`
	None  bool   `json:"none,omitempty"`
	// Count is how many records have it.
	Count int `json:"count"`
}

const (
	// maxTelling is how many fields are told, and maxTold how many values one may have.
	maxTelling, maxTold = 12, 12
	// deepest is how deep in a record a field may lie, and mostFields how many are
	// looked at.
	deepest, mostFields = 4, 2000
	// longestTold is the length of the longest value that tells something, in bytes.
	longestTold = 100
)

// likely has names of fields that tell customers from others.
var likely = regexp.MustCompile(`(?i)(status|state|type|stage|active|deleted|archived|disabled|enabled|closed|customer|tier|plan|segment|categor|kind|class|level|lifecycle)[^.]*$`)

// tellingFields finds the fields with few values among those of records.
func tellingFields(records []*one) []Telling {
	found := map[string]map[string]int{} // by path and value; nil for too many
	for _, o := range records {
		eachField("", o.Value, deepest, func(path, value string) {
			counts, known := found[path]
			switch {
			case !known && len(found) < mostFields:
				found[path] = map[string]int{value: 1}
			case counts == nil:
			case len(value) > longestTold, counts[value] == 0 && len(counts) == maxTold:
				found[path] = nil
			default:
				counts[value]++
			}
		})
	}
	all := []Telling{}
	for path, counts := range found {
		there := 0
		for _, n := range counts {
			there += n
		}
		of := Telling{Path: path}
		for _, value := range slices.Sorted(maps.Keys(counts)) {
			of.Values = append(of.Values, TellingValue{Value: value, Count: counts[value]})
		}
		if none := len(records) - there; none > 0 {
			of.Values = append(of.Values, TellingValue{None: true, Count: none})
		}
		// What hardly repeats is no choice, though it be few by chance.
		if counts == nil || len(of.Values) < 2 || len(of.Values) > maxTold || len(of.Values)*2 > len(records) {
			continue
		}
		slices.SortStableFunc(of.Values, func(a, b TellingValue) int { return b.Count - a.Count })
		all = append(all, of)
	}
	rank := func(t Telling) int {
		if likely.MatchString(t.Path) {
			return 0
		}
		return 1
	}
	slices.SortFunc(all, func(a, b Telling) int {
		return cmp.Or(rank(a)-rank(b), depth(a.Path)-depth(b.Path), len(a.Values)-len(b.Values), strings.Compare(a.Path, b.Path))
	})
	return all[:min(len(all), maxTelling)]
}

// eachField hands over the fields of an object that have a text, a number or a truth
// value, by their paths.
func eachField(path string, object map[string]any, deep int, each func(path, value string)) {
	for name, value := range object {
		at := memberPath(path, name)
		switch value := value.(type) {
		case nil:
		case bool:
			each(at, strconv.FormatBool(value))
		case map[string]any:
			if deep > 1 {
				eachField(at, value, deep-1, each)
			}
		default:
			if text, ok := mapping.Text(value); ok && text != "" {
				each(at, text)
			}
		}
	}
}

package matching

import (
	"slices"
	"strings"
	"unicode"

	"github.com/gosimple/unidecode"
	"golang.org/x/text/unicode/norm"
)

const (
	// maxText is how much of a text is looked at, in bytes.
	maxText = 512
	// maxTokens is how many words of a name are looked at.
	maxTokens = 16
	// maxToken is how much of a word is looked at, in bytes.
	maxToken = 30
)

// marks stand behind names and are no part of them.
var marks = strings.NewReplacer("™", " ", "®", " ", "©", " ", "℠", " ")

// romanised are letters that companies write otherwise than the library does.
var romanised = strings.NewReplacer("я", "ya", "ю", "yu", "є", "ye", "ї", "yi", "й", "y", "Я", "Ya", "Ю", "Yu", "Є", "Ye", "Ї", "Yi", "Й", "Y")

// words returns the words of a text in lower-case letters and digits of ASCII: of
// whatever script, without diacritics and punctuation. Letters that stand alone side
// by side are one word: "I.B.M." is "ibm".
func words(text string) []string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	text = norm.NFKC.String(marks.Replace(hanForms.Replace(strings.ToValidUTF8(text, ""))))
	text = unidecode.Unidecode(romanised.Replace(hanForms.Replace(text)))
	var all []string
	var word []byte
	end := func() {
		if len(word) > 0 {
			all = append(all, string(word[:min(len(word), maxToken)]))
			word = word[:0]
		}
	}
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			word = append(word, c)
		case 'A' <= c && c <= 'Z':
			word = append(word, c-'A'+'a')
		case c == '\'' || c == '`' || c == '"':
			// O'Reilly is one word, and so are soft signs.
		case c == '&' || c == '+':
			end()
			all = append(all, "and")
		default:
			end()
		}
	}
	end()
	return joinLetters(all)
}

// joinLetters makes one word of letters that stand alone side by side.
func joinLetters(all []string) []string {
	joined := all[:0]
	alone := false // whether the word before is made of such letters
	for _, w := range all {
		letter := len(w) == 1 && unicode.IsLetter(rune(w[0]))
		if letter && alone && len(joined[len(joined)-1]) < maxToken {
			joined[len(joined)-1] += w
			continue
		}
		joined, alone = append(joined, w), letter
	}
	return joined
}

// fold returns the words of a company's name that tell it apart, in their order, and
// the kind of its legal form; "" if it has none. A name that has nothing but legal
// forms and stop words keeps the last of them. Folding the words again changes
// nothing.
func fold(name string) (tokens []string, legal string) {
	tokens = words(name)
	tokens = tokens[:min(len(tokens), maxTokens)]
	for n := 0; n != len(tokens); {
		n = len(tokens)
		if kept := slices.DeleteFunc(slices.Clone(tokens), func(w string) bool { return stopWords[w] }); len(kept) > 0 {
			tokens = joinLetters(kept)
		}
		var kind string
		if tokens, kind = cutLegal(tokens); legal == "" {
			legal = kind
		}
	}
	if legal == "co" {
		legal = "" // companies of every kind are called so
	}
	return tokens, legal
}

// cutLegal takes a legal form from the end of a name, or from its beginning, and
// returns what is left, and its kind.
func cutLegal(tokens []string) ([]string, string) {
	for n := min(maxForm, len(tokens)-1); n > 0; n-- {
		rest := len(tokens) - n
		if kind := legalForms[strings.Join(tokens[rest:], " ")]; kind != "" {
			return tokens[:rest], kind
		}
	}
	if len(tokens) > 1 && legalPrefixes[tokens[0]] {
		kind := legalForms[tokens[0]]
		return tokens[1:], kind
	}
	return tokens, ""
}

// domainOf returns the domain that a company has registered, of a domain, a URL or an
// e-mail address; and its name: what stands before the public suffix. Both are empty
// for a domain that says nothing of whose it is.
//
// It goes by the usual shape of public suffixes instead of their list: a wrong guess
// for a rare one costs a few points, and the library that has the list brings a
// client of HTTP along.
func domainOf(text string) (domain, name string) {
	text = strings.ToLower(strings.TrimSpace(norm.NFKC.String(strings.ToValidUTF8(text[:min(len(text), maxText)], ""))))
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	}
	if i := strings.IndexAny(text, "/?#"); i >= 0 {
		text = text[:i]
	}
	text = text[strings.LastIndexByte(text, '@')+1:]
	text, _, _ = strings.Cut(text, ":")
	labels := strings.Split(strings.Trim(text, "."), ".")
	if slices.ContainsFunc(labels, func(l string) bool { return l == "" || strings.ContainsAny(l, " ,;") }) {
		return "", ""
	}
	n := len(labels) - 1 // where the public suffix begins
	if n < 1 || unicode.IsDigit(rune(labels[n][0])) {
		return "", "" // no domain, or an address of numbers
	}
	if n > 1 && len(labels[n]) == 2 && secondLevel[labels[n-1]] {
		n--
	}
	if name = labels[n-1]; publicMail[name] {
		return "", ""
	}
	return strings.Join(labels[n-1:], "."), name
}

// secondLevel are labels that stand before the code of a country in public suffixes.
var secondLevel = set("co, com, org, net, gov, ac, edu, ne, or, go, gob, gov, gouv, ltd, plc, me, nom")

// phoneOf returns the end of a phone number, where it is the same with and without
// the codes of countries; "" if it is too short to tell companies apart.
func phoneOf(text string) string {
	const shortest, compared = 7, 8
	text = strings.ToLower(norm.NFKC.String(strings.ToValidUTF8(text[:min(len(text), maxText)], "")))
	for _, extension := range []string{"ext", "x", "durchwahl", "#", ";", ","} {
		text, _, _ = strings.Cut(text, extension)
	}
	text = strings.ReplaceAll(text, "(0)", "")
	var digits []byte
	for i := range len(text) {
		if c := text[i]; '0' <= c && c <= '9' {
			digits = append(digits, c)
		}
	}
	number := strings.TrimLeft(string(digits), "0")
	if len(number) < shortest || strings.Trim(number, number[:1]) == "" {
		return ""
	}
	return number[max(0, len(number)-compared):]
}

// streetOf returns the words of a street with its number, in a fixed order and in
// their short forms.
func streetOf(text string) []string {
	all := words(text)
	for i, w := range all {
		if short := streetWords[w]; short != "" {
			all[i] = short
		} else if rest, ok := strings.CutSuffix(w, "strasse"); ok {
			all[i] = rest + "str"
		}
	}
	slices.Sort(all)
	return slices.Compact(all[:min(len(all), maxTokens)])
}

// plainly returns a text's words.
func plainly(text string) string { return strings.Join(words(text), " ") }

package main

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"

	"tenure/core/matching"
)

// corpus is made-up companies as two systems know them, of which it is known who is
// who: theirs with a number below known is ours with the same number, the others are
// none of ours, though two thirds of them have names that resemble some of ours.
type corpus struct {
	names int
	// bare leaves out all but the names.
	bare bool
}

// known is how many of theirs are among ours.
func (c corpus) known() int { return c.names * 85 / 100 }

// The kinds of theirs: in what their names differ from ours.
var kindsOfTheirs = []string{"same", "suffix", "typo", "typo and suffix", "transliteration", "order", "spacing", "place added", "merger", "homonym", "relative of ours", "almost ours", "none of ours"}

var (
	syllables  = strings.Fields("ba be bi bo bra bri ca ce ci co cra da de di do dra dri fa fe fi flo fo fra ga ge gi glo go gra ha he hi ho ja jo ka ke ki ko kra la le li lo lu ma me mi mo mu na ne ni no nu o pa pe pi plo po pra qua ra re ri ro ru sa se si so sta ste sto ta te ti to tra tri u va ve vi vo wa we xa xe za ze zi zo")
	ends       = strings.Fields("n r s x l m nd rt st ck nt th")
	surnames   = strings.Fields("Smith Jones Miller Meyer Schmidt Weber Fischer Wagner Becker Hoffmann Martin Bernard Dubois Moreau Laurent Garcia Martinez Lopez Sanchez Perez Rossi Russo Ferrari Esposito Bianchi Hansen Johansen Olsen Larsen Andersen Nielsen Jensen Svensson Karlsson Nilsson Kowalski Nowak Novak Dvorak Horvath Nagy Kim Lee Park Chen Wang Zhang Tanaka Suzuki Sato Singh Kumar Patel Khan Ali Hassan Silva Santos Oliveira Souza Taylor Brown Wilson Evans Thomas Roberts Walker Wright Thompson White Hughes Edwards Green Hall Wood Harris Clark Murphy Kelly Byrne Ryan Walsh")
	foreign    = strings.Fields("Müller Schäfer Köhler Böhm Jäger Groß Weiß Krüger Bäcker Łukasz Żak Świat Ørsted Søren Ångström Björk Çelik Yıldız Şahin Peña Muñoz Núñez Garçon Élysée Lefèvre Häkkinen Mäkelä Čapek Dvořák Růžička Газета Вымпел Северный Магнит Восток Рассвет Комета Ελλάδα Δέλτα Κρόνος")
	trades     = strings.Fields("Consulting Logistics Software Foods Bakery Printing Motors Energy Pharma Textiles Steel Plastics Insurance Bank Media Travel Hotels Design Construction Engineering Electronics Optics Furniture Flowers Toys Sports Shoes Paper Packaging Chemicals Analytics Robotics Security Cloud Data Networks Telecom Airlines Shipping Mining Timber Dairy Wines Brewery Coffee Tea Solutions Services Systems Technologies Partners Group Industries Trading Labs Health Dental Legal Finance Capital Education Publishing Records Games Studios")
	places     = strings.Fields("Berlin Hamburg München Paris Lyon Madrid Sevilla Milano Roma Wien Zürich Oslo Stockholm Malmö Helsinki Warszawa Kraków Praha Budapest London Leeds Dublin Boston Chicago Dallas Denver Seattle Austin Toronto Lima Bogotá Santiago Sydney Perth Tokyo Osaka Seoul Mumbai Delhi Singapore")
	countries  = strings.Fields("Germany Deutschland France Italia UK USA Europe Nederland Polska India")
	streetsOf  = strings.Fields("Main Oak Park Church Mill Station Lake Hill Market Garden Bridge River")
	suffixes   = [][]string{{"Inc", "Inc.", ", Inc.", "Incorporated", "Corp.", "Corporation"}, {"Ltd", "Ltd.", "Limited", "Co., Ltd."}, {"LLC", "L.L.C.", ", LLC"}, {"GmbH", "G.m.b.H.", "gmbh"}, {"AG", "Aktiengesellschaft"}, {"GmbH & Co. KG", "GmbH & Co KG", "GmbH und Co. KG"}, {"S.A.", "SA"}, {"S.r.l.", "SRL", "srl"}, {"B.V.", "BV"}, {"Oy", "OY"}, {"AB", "ab"}, {"A/S", "AS"}, {"Pty Ltd", "Pty. Ltd.", "PTY LTD"}, {"Sp. z o.o.", "Sp.z o.o.", "SP ZOO"}, {"S.A. de C.V.", "SA de CV"}}
	german     = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "Ä", "Ae", "Ö", "Oe", "Ü", "Ue")
	plainForms = strings.NewReplacer("ä", "a", "ö", "o", "ü", "u", "ß", "ss", "Ł", "L", "ł", "l", "Ż", "Z", "Ś", "S", "Ø", "O", "ø", "o", "Å", "A", "å", "a", "Ç", "C", "ç", "c", "ı", "i", "Ş", "S", "ñ", "n", "ú", "u", "É", "E", "é", "e", "è", "e", "Č", "C", "ř", "r", "á", "a", "ů", "u", "ž", "z", "ó", "o",
		"Газета", "Gazeta", "Вымпел", "Vympel", "Северный", "Severny", "Магнит", "Magnit", "Восток", "Vostok", "Рассвет", "Rassvet", "Комета", "Kometa", "Ελλάδα", "Ellada", "Δέλτα", "Delta", "Κρόνος", "Kronos")
)

func random(seed uint64, i int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(i))) }

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

// brand makes up a word.
func brand(r *rand.Rand) string {
	var b strings.Builder
	for range 2 + r.IntN(2) {
		b.WriteString(pick(r, syllables))
	}
	if r.IntN(2) == 0 {
		b.WriteString(pick(r, ends))
	}
	return strings.ToUpper(b.String()[:1]) + b.String()[1:]
}

// company is a company as it is.
type company struct {
	words                       []string
	form                        int // its legal form; -1 for none
	domain, phone, street, city string
}

// company returns the company with that number. Every fiftieth is called as the one
// before it, and is another one.
func (c corpus) company(i int) company {
	r := random(1, i)
	var co company
	switch r.IntN(8) {
	case 0:
		co.words = []string{brand(r)}
	case 1, 2:
		co.words = []string{brand(r), pick(r, trades)}
	case 3:
		co.words = []string{pick(r, surnames), brand(r), pick(r, trades)}
	case 4:
		co.words = []string{pick(r, surnames), "&", pick(r, surnames), pick(r, trades)}
	case 5:
		co.words = []string{brand(r), pick(r, places)}
	case 6:
		co.words = []string{pick(r, foreign), brand(r), pick(r, trades)}
	case 7:
		co.words = []string{brand(r), brand(r)}
	}
	co.form = r.IntN(len(suffixes)+3) - 3
	co.domain = strings.ToLower(plainForms.Replace(co.words[0])) + fmt.Sprint(i) + pick(r, []string{".com", ".com", ".de", ".co.uk", ".fr", ".io"})
	co.phone = fmt.Sprintf("+%d %03d %07d", 1+r.IntN(90), 100+r.IntN(900), r.IntN(10_000_000))
	co.street = fmt.Sprintf("%d %s Street", 1+r.IntN(200), pick(r, streetsOf))
	co.city = pick(r, places)
	if i%50 == 1 {
		co.words = c.company(i - 1).words
	}
	return co
}

// write writes a company's name, and as much else as a system knows.
func (c corpus) write(r *rand.Rand, id string, co company) matching.Name {
	n := matching.Name{ID: id, Name: strings.Join(co.words, " ")}
	if co.form >= 0 {
		suffix := pick(r, suffixes[co.form])
		if suffix[0] != ',' {
			suffix = " " + suffix
		}
		n.Name += suffix
	}
	if c.bare {
		return n
	}
	if r.IntN(10) < 6 {
		n.Domain = pick(r, []string{"", "www.", "https://www.", "info@"}) + co.domain
	}
	if r.IntN(10) < 4 {
		n.Phone = pick(r, []string{co.phone, strings.ReplaceAll(co.phone, " ", "-"), "0" + co.phone[strings.IndexByte(co.phone, ' ')+1:]})
	}
	if r.IntN(10) < 6 {
		n.City = co.city
		if r.IntN(2) == 0 {
			n.Street = strings.Replace(co.street, "Street", pick(r, []string{"Street", "St.", "St"}), 1)
		}
	}
	return n
}

// ours yields the companies as we know them.
func (c corpus) ours() iter.Seq2[matching.Name, error] {
	return func(yield func(matching.Name, error) bool) {
		for i := range c.names {
			if !yield(c.write(random(2, i), id(i), c.company(i)), nil) {
				return
			}
		}
	}
}

func id(i int) string { return fmt.Sprintf("%07d", i) }

// theirs yields the companies as another system knows them.
func (c corpus) theirs() iter.Seq2[matching.Name, error] {
	return func(yield func(matching.Name, error) bool) {
		for i := range c.names {
			if !yield(c.write(random(3, i), id(i), c.changed(i)), nil) {
				return
			}
		}
	}
}

// kind returns in what a company of theirs differs from ours.
func (c corpus) kind(i int) string {
	switch {
	case i >= c.known():
		return []string{"none of ours", "relative of ours", "almost ours"}[i%3]
	case i%50 < 2:
		return "homonym"
	}
	k := pick(random(4, i), kindsOfTheirs[:9])
	words := c.company(i).words
	switch {
	case k == "transliteration" && plainForms.Replace(words[0]) == words[0], (k == "order" || k == "spacing") && len(words) < 2:
		return "suffix"
	}
	return k
}

// changed returns a company as another system calls it.
func (c corpus) changed(i int) company {
	co, r := c.company(i), random(5, i)
	if i >= c.known() {
		co = c.company(i + c.names) // whom we do not know
	}
	co.words = slices.Clone(co.words)
	switch c.kind(i) {
	case "relative of ours": // another company that begins like one of ours
		co.words = []string{c.company(i).words[0], pick(r, trades)}
	case "almost ours": // another company that is called almost like one of ours
		co.words = slices.Clone(c.company(i).words)
		misspell(r, co.words)
	case "suffix":
		co.form = -1
	case "typo":
		misspell(r, co.words)
	case "typo and suffix":
		misspell(r, co.words)
		co.form = r.IntN(len(suffixes)+1) - 1
	case "transliteration":
		by := pick(r, []*strings.Replacer{plainForms, german})
		for j, w := range co.words {
			co.words[j] = plainForms.Replace(by.Replace(w))
		}
	case "order":
		slices.Reverse(co.words)
	case "spacing":
		co.words = []string{co.words[0] + strings.ToLower(co.words[1]), strings.Join(co.words[2:], " ")}
	case "place added":
		co.words = append(co.words, pick(r, countries))
	case "merger":
		co.words = append(co.words, brand(r))
		co.form = r.IntN(len(suffixes))
	}
	return co
}

// misspell changes a letter of the longest word: one is missing, doubled, another
// one, or changes places with the next.
func misspell(r *rand.Rand, words []string) {
	longest := 0
	for i, w := range words {
		if len(w) > len(words[longest]) {
			longest = i
		}
	}
	w := []rune(words[longest])
	at := 1 + r.IntN(max(1, len(w)-2))
	switch r.IntN(4) {
	case 0:
		w = slices.Delete(w, at, at+1)
	case 1:
		w = slices.Insert(w, at, w[at])
	case 2:
		w[at] = rune('a' + r.IntN(26))
	case 3:
		if at+1 < len(w) {
			w[at], w[at+1] = w[at+1], w[at]
		}
	}
	words[longest] = string(w)
}
